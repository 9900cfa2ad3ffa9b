import { writeFile } from 'node:fs/promises'
import { relative } from 'node:path'
import { inspect } from 'node:util'

type TestEvent = {
  readonly type: string
  readonly data: {
    readonly name: string
    readonly file?: string
    readonly nesting: number
    readonly skip?: boolean | string
    readonly todo?: boolean | string
    readonly message?: string
    readonly details?: {
      readonly type?: string
      readonly duration_ms?: number
      readonly error?: Error & { cause?: unknown }
    }
  }
}

const slowMillis = 2000
/** Of a failure's message, in the list of all failures. */
const mostMessage = 300

/** Suites and files count through their tests; a file that failed outside of any test counts itself. */
const isTest = (event: TestEvent): boolean =>
  event.data.details?.type !== 'suite' && !(event.data.name === event.data.file)

/**
 * A reporter for node:test: failures in full, slow and skipped tests by name, and counts as the last line (and as JSON in
 * the file that TEST_COUNTS_FILE names, for the list of checks).
 */
export default async function* reportTests(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const counts = { passed: 0, failed: 0, skipped: 0 }
  const failures: string[] = []
  for await (const event of source) {
    const { data } = event
    const where = data.file === undefined ? '' : relative(process.cwd(), data.file)
    if (event.type === 'test:pass' && isTest(event)) {
      if (data.skip !== undefined || data.todo !== undefined) {
        counts.skipped += 1
        yield `  skipped: ${data.name} (${where})${typeof data.skip === 'string' ? `: ${data.skip}` : ''}\n`
      } else {
        counts.passed += 1
        const millis = data.details?.duration_ms ?? 0
        if (millis > slowMillis) yield `  ${(millis / 1000).toFixed(1)} s: ${data.name} (${where})\n`
      }
    } else if (event.type === 'test:fail' && data.details?.type !== 'suite') {
      counts.failed += 1
      const error = data.details?.error
      failures.push(`${data.name} (${where}): ${messageOf(error?.cause ?? error)}`)
      yield `  ✖ ${data.name} (${where})\n${inspect(error?.cause ?? error, { depth: 6 }).replace(/^/gm, '      ')}\n`
    } else if (event.type === 'test:stderr' && data.message !== undefined) {
      yield data.message
    }
  }
  const file = process.env.TEST_COUNTS_FILE
  if (file !== undefined) await writeFile(file, JSON.stringify({ ...counts, failures }))
  yield `${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`
}

const messageOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).replace(/\s+/g, ' ').slice(0, mostMessage)
