import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { fakeTime } from '@tributary/local-stack/testing/fake-time'
import { launch } from '@tributary/local-stack/testing/launch'
import { Link } from '@tributary/local-stack/testing/link'
import { agentEnvironment } from './testing/agent-environment.ts'
import { TestAuthority } from './testing/certificates.ts'
import { publishBundle, temporaryFolder, trainingWork } from './testing/federation.ts'
import { runProgram } from './testing/run-program.ts'
import { TestNode } from './testing/test-node.ts'

const program = fileURLToPath(new URL('./commands/agent/agent.main.ts', import.meta.url))
const accepted = (node: TestNode): number => [...node.uploads.values()].filter(upload => upload.accepted).length

type Status = { running: { clock: string | null; node: { fault: string | null } } }

test('a clock three days behind or ahead is told by the log, status and doctor, costs no more than patience, and work goes on when it is right', {
  timeout: 180_000,
}, async context => {
  await using folder = await temporaryFolder()
  const clock = await fakeTime(join(folder.path, 'clock'))
  if (clock === undefined) {
    assert.ok(process.env.CI === undefined, 'CI has no libfaketime')
    return context.skip('there is no libfaketime: no Debian packages')
  }
  const central = createServer((_, response) => void response.end('{}')).listen(0, '127.0.0.1')
  await using opened = new AsyncDisposableStack()
  opened.defer(() => void central.close())
  await once(central, 'listening')
  const authority = await TestAuthority.create()
  await using node = await TestNode.start(authority)
  await using link = await Link.open(node.endpoint)
  publishBundle(node)
  node.training = trainingWork()
  const environment = {
    ...(await agentEnvironment(authority, folder.path, link.endpoint)),
    ...clock.env,
    CENTRAL_URL: `http://127.0.0.1:${(central.address() as AddressInfo).port}`,
    LOG_LEVEL: 'info',
  }
  const ask = async (...line: string[]) =>
    JSON.parse((await runProgram(process.execPath, [program, ...line, '--json'], environment)).output)

  await clock.shift(-3)
  const started = performance.now()
  await using agent = launch([program, 'run'], environment)
  await agent.untilLine(/clock of this device says .* 2 days 23 h before the certificate of this device becomes good/)
  await agent.untilLine(/3 days 0 h behind that of central: here \d{4}-\S*, there \d{4}-\S*\. .* Set it by NTP/)
  const { running }: Status = await ask('status')
  assert.match(running.node.fault ?? '', /Set the clock: it is most likely behind/)
  assert.match(running.clock ?? '', /3 days 0 h behind that of central/)
  const { findings } = (await ask('doctor')) as { findings: { check: string; state: string; message: string }[] }
  const failed = (check: string) => findings.find(found => found.check === check && found.state === 'failed')?.message
  assert.match(failed('identity') ?? '', /before the certificate of this device becomes good/)
  assert.match(failed('clock') ?? '', /3 days 0 h behind that of central/)
  assert.equal(node.checkIns.length, 0)
  // One for each check-in, which come ever later, one for each question about the time, and two of doctor.
  const mostConnections = 12 + (performance.now() - started) / 1000
  assert.ok(link.connections <= mostConnections, `${link.connections} connections, at most ${mostConnections}`)

  await clock.shift(0)
  await node.until('work goes on', () => accepted(node) === 1, 60)
  await agent.untilLine(/clock of this device fits that of the node again/)

  // The connection that is open goes on; the node's time is in its answers.
  const said = agent.lines.length
  await clock.shift(3)
  await agent.untilLine(/3 days 0 h ahead of that of the node/, said)
  node.training = trainingWork({ round: 2, localEpochs: 2 })
  link.cut()
  await agent.untilLine(/clock of this device says .* 2 days 23 h after the certificate of this device ended/, said)
  assert.match(((await ask('status')) as Status).running.clock ?? '', /3 days 0 h ahead/)
  await clock.shift(0)
  await node.until('work goes on again', () => accepted(node) === 2, 60)
  assert.equal(agent.child.exitCode, null)
})
