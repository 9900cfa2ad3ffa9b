import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { before, suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type Launched, launch as launchProgram } from '@tributary/local-stack/testing/launch'
import { runAgentCommand } from './commands/agent/run-agent-command.ts'
import { runAgent } from './run-agent.ts'
import { agentEnvironment } from './testing/agent-environment.ts'
import { TestAuthority } from './testing/certificates.ts'
import { childrenOf, isAlive, until } from './testing/child-processes.ts'
import { device, publishBundle, temporaryFolder, trainingWork } from './testing/federation.ts'
import { TestNode } from './testing/test-node.ts'

const source = fileURLToPath(new URL('./main.ts', import.meta.url))
const packageFolder = fileURLToPath(new URL('..', import.meta.url))
const accepted = (node: TestNode): boolean => [...node.uploads.values()].some(upload => upload.accepted)

suite('the agent as a process', () => {
  let authority: TestAuthority
  before(async () => {
    authority = await TestAuthority.create()
  })

  const environmentOf = (folder: string, node: string): Promise<Record<string, string>> =>
    agentEnvironment(authority, folder, node)

  const launch = (script: string, env: Record<string, string>): Launched => launchProgram([script], env)

  const endsCleanly = async (ended: Promise<unknown[]>, stop: () => void): Promise<void> => {
    stop()
    assert.deepEqual(await ended, [0, null])
  }

  test('from source: does a round, then ends in the middle of training when its parent closes the pipe', async () => {
    await using folder = await temporaryFolder()
    await using node = await TestNode.start(authority)
    publishBundle(node)
    node.training = trainingWork()
    await using agent = launch(source, await environmentOf(folder.path, node.endpoint))
    await node.until('an accepted update', () => accepted(node))
    node.training = trainingWork({ round: 2, localEpochs: 1000, batchSize: 1 })
    await node.until('training is on its way', () => (node.checkIns.at(-1)?.running[0]?.progress ?? 0) > 0)
    await endsCleanly(agent.ended, () => agent.child.stdin?.end())
  })

  test('bundled: does a round with the worker beside it, and ends at SIGTERM', async () => {
    const builder = spawn(process.execPath, ['build.ts'], { cwd: packageFolder, stdio: 'inherit' })
    assert.deepEqual(await once(builder, 'exit'), [0, null])
    await using folder = await temporaryFolder()
    await using node = await TestNode.start(authority)
    publishBundle(node)
    node.training = trainingWork()
    await using agent = launch(join(packageFolder, 'dist/main.mjs'), await environmentOf(folder.path, node.endpoint))
    await node.until('an accepted update', () => accepted(node))
    await endsCleanly(agent.ended, () => agent.child.kill('SIGTERM'))
  })

  test('asked to end while it is still being loaded, it ends as soon as it is there', async () => {
    await using folder = await temporaryFolder()
    const environment = await environmentOf(folder.path, 'localhost:1')
    const asked = AbortSignal.abort(new Error('SIGTERM'))
    assert.equal(await runAgent({ ...environment, LOG_LEVEL: 'silent' }, asked), 0)
    const line = ['run']
    const output = { out: () => {}, err: () => {}, columns: undefined }
    assert.equal(await runAgentCommand(line, { folder: folder.path, environment, output, signal: asked }), 0)
  })

  test('killed in the middle of training, it leaves no process behind', async () => {
    await using folder = await temporaryFolder()
    await using node = await TestNode.start(authority)
    publishBundle(node)
    node.training = trainingWork({ localEpochs: 1000, batchSize: 1 })
    await using agent = launch(source, await environmentOf(folder.path, node.endpoint))
    await node.until('training is on its way', () => (node.checkIns.at(-1)?.running[0]?.progress ?? 0) > 0)
    const children = childrenOf(agent.child.pid as number)
    assert.equal(children.length, 1)
    agent.child.kill('SIGKILL')
    await agent.ended
    await until('the end of what it started', () => !children.some(isAlive))
  })

  test('says in plain words what is wrong with its settings, and ends with 3', async () => {
    await using folder = await temporaryFolder()
    const environment = await environmentOf(folder.path, 'localhost:1')
    const refusals: [Record<string, string>, RegExp][] = [
      [{ ...environment, NODE_ENDPOINTS: '' }, /NODE_ENDPOINTS/],
      [{ ...environment, AGENT_KEY_FILE: join(folder.path, 'ca.pem') }, /ca\.pem does not hold/],
      [{ ...environment, DATA_DIR: folder.path }, /Declare the data sets/],
    ]
    const other = await authority.issue(device, 'regional-node')
    await writeFile(join(folder.path, 'other.pem'), other.certificate)
    await writeFile(join(folder.path, 'other.key'), other.key)
    const wrongKind = {
      AGENT_CERT_FILE: join(folder.path, 'other.pem'),
      AGENT_KEY_FILE: join(folder.path, 'other.key'),
    }
    refusals.push([{ ...environment, ...wrongKind }, /not a device's certificate/])
    for (const [env, message] of refusals) {
      await using agent = launch(source, env)
      const chunks: Buffer[] = []
      agent.child.stderr?.on('data', chunk => chunks.push(chunk))
      assert.deepEqual(await agent.ended, [3, null])
      assert.match(Buffer.concat(chunks).toString(), message)
    }
  })
})
