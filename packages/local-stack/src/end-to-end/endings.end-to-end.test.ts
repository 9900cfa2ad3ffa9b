import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { type ProcessEntry, processTree, stillRunning } from '../testing/processes.ts'
import { type StackRun, startStack } from '../testing/stack-run.ts'

const portBase = 23_000
const quietSeconds = 15
let stateDir: string

before(async () => {
  stateDir = await mkdtemp(join(tmpdir(), 'tributary-e2e-'))
})
after(() => rm(stateDir, { recursive: true, force: true }))

const supervisorOf = (tree: readonly ProcessEntry[]): number => {
  const found = tree.filter(({ command }) => /local-stack\/src\/main\.ts/.test(command)).at(-1)
  assert.ok(found)
  return found.pid
}

const endings: readonly { name: string; at: RegExp; end: (run: StackRun, tree: readonly ProcessEntry[]) => void }[] = [
  { name: 'TERM while services start', at: /MQTT +\d/, end: run => run.npm.kill('SIGTERM') },
  { name: 'HUP in the middle of a round', at: /\n +1 +10\/10/, end: run => run.npm.kill('SIGHUP') },
  { name: 'kill -9 of npm in the middle of a round', at: /\n +1 +10\/10/, end: run => run.npm.kill('SIGKILL') },
  {
    name: 'kill -9 of the supervisor in the middle of a round',
    at: /\n +1 +10\/10/,
    end: (_, tree) => process.kill(supervisorOf(tree), 'SIGKILL'),
  },
]

for (const { name, at, end } of endings) {
  test(`${name} leaves nothing behind`, async () => {
    await using run = startStack(['--rounds', '50'], { stateDir, portBase })
    await run.untilLine(at, 240)
    const tree = await processTree(run.npm.pid ?? 0)
    end(run, tree)
    const deadline = Date.now() + quietSeconds * 1000
    let left = await stillRunning(tree)
    while (left.length > 0 && Date.now() < deadline) {
      await delay(200)
      left = await stillRunning(tree)
    }
    assert.deepEqual(left, [])
  })
}

test('after every such ending the next start works', async () => {
  await using run = startStack(['--exit', '--json', '--rounds', '1'], { stateDir, portBase })
  const { code } = await run.ended
  assert.equal(code, 0, run.output())
  assert.equal(run.summary().state, 'completed')
})

for (const [args, code, message] of [
  [['--devices', 'many'], 2, /--devices takes a whole number/],
  [['--colour', 'red'], 2, /--colour/],
] as const) {
  test(`${args.join(' ')} ends with exit code ${code} and one line`, async () => {
    await using run = startStack(args, { stateDir, portBase })
    assert.equal((await run.ended).code, code)
    assert.match(run.output().trim(), message)
    assert.equal(run.output().trim().split('\n').length, 1)
  })
}
