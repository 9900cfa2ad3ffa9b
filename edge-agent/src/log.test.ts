import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

test('the log is on standard output and in a file that is bounded', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tributary-log-'))
  try {
    const file = join(folder, 'agent.log')
    const module = fileURLToPath(new URL('./log.ts', import.meta.url))
    const script = `import { createLog } from ${JSON.stringify(module)}
const log = createLog({ level: 'info', file: ${JSON.stringify(file)}, fileBytes: 1000, files: 2 }, 'one')
for (let index = 0; index < 40; index += 1) log.info({ index }, 'a line')
log.debug('not wanted')`
    const { stdout } = spawnSync(process.execPath, ['--input-type=module-typescript', '-e', script], {
      encoding: 'utf8',
    })
    const indices = (text: string) =>
      text
        .trim()
        .split('\n')
        .map(line => JSON.parse(line).index)
    assert.deepEqual(
      indices(stdout),
      Array.from({ length: 40 }, (_, index) => index),
    )
    assert.deepEqual((await readdir(folder)).sort(), ['agent.log', 'agent.log.1'])
    const kept = [...indices(await readFile(`${file}.1`, 'utf8')), ...indices(await readFile(file, 'utf8'))]
    assert.equal(kept.at(-1), 39)
    assert.deepEqual(
      kept,
      Array.from({ length: kept.length }, (_, at) => 40 - kept.length + at),
    )
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
