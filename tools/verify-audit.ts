/**
 * Verifies the audit trail outside of the platform: every hash is computed anew.
 *
 *   npm run audit:verify -- --file export.ndjson
 *   npm run audit:verify -- --url http://127.0.0.1:8085 --token-file admin.token
 *
 * `--head NUMBER:HASH` names an entry that was noted earlier (the last line of this command's output): a chain that does not reach
 * it, or holds another one there, is refused. `--from NUMBER` begins later, and takes the hash before that entry on trust.
 */
import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { verifyExport } from '../functions/src/audit/verify-export.ts'
import { AuditEntryView, AuditHead } from '../packages/contracts/src/audit.ts'

const pageSeconds = 30

const { values } = parseArgs({
  options: {
    file: { type: 'string' },
    url: { type: 'string' },
    'token-file': { type: 'string' },
    from: { type: 'string', default: '1' },
    head: { type: 'string' },
  },
  strict: true,
})

// Not by `readline`, which also ends a line at U+2028 and U+2029: JSON leaves those as they are.
const linesOfFile = async function* (file: string): AsyncGenerator<string> {
  let rest = ''
  for await (const chunk of createReadStream(file, 'utf8')) {
    const lines = `${rest}${chunk}`.split('\n')
    rest = lines.pop() ?? ''
    yield* lines
  }
  yield rest
}

const linesOfApi = async function* (url: string, token: string, from: number): AsyncGenerator<string> {
  for (let after = from - 1; ; ) {
    const answer = await fetch(new URL(`/v1/audit/export?after=${after}`, url), {
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(pageSeconds * 1000),
    })
    const text = await answer.text()
    if (!answer.ok) throw new Error(`${url} answered ${answer.status}: ${text.slice(0, 300)}`)
    const lines = text.split('\n').filter(line => line !== '')
    const last = lines.at(-1)
    if (last === undefined) return
    yield* lines
    // Or a chain with a wrong number at the end of a page would be asked for again and again.
    const next = AuditEntryView.parse(JSON.parse(last)).sequence
    if (next <= after) return
    after = next
  }
}

const readHead = (text: string): AuditHead => {
  const [sequence, hash] = text.split(':')
  return AuditHead.parse({ sequence: Number(sequence), hash })
}

const linesOf = async (from: number): Promise<AsyncGenerator<string>> => {
  const { file, url, 'token-file': tokenFile } = values
  if (file !== undefined && url === undefined) return linesOfFile(file)
  if (url !== undefined && file === undefined && tokenFile !== undefined) {
    return linesOfApi(url, (await readFile(tokenFile, 'utf8')).trim(), from)
  }
  throw new Error('Give either --file, or --url with --token-file (a file with an administrator’s API key).')
}

try {
  const from = Number(values.from)
  const head = values.head === undefined ? {} : { head: readHead(values.head) }
  const { valid, to, fault } = await verifyExport(await linesOf(from), { from, ...head })
  if (valid) process.stdout.write(`entries ${from} to ${to.sequence} are as they were written\n`)
  else process.stdout.write(`broken at entry ${fault?.sequence}: ${fault?.fault}\n`)
  process.stdout.write(`${to.sequence}:${to.hash}\n`)
  process.exitCode = valid ? 0 : 1
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 2
}
