import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { create } from '@bufbuild/protobuf'
import { CheckInResponseSchema } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { launch } from '@tributary/local-stack/testing/launch'
import { agentEnvironment } from '../testing/agent-environment.ts'
import { TestAuthority } from '../testing/certificates.ts'
import { device, publishBundle, temporaryFolder, trainingWork } from '../testing/federation.ts'
import { TestBroker } from '../testing/test-broker.ts'
import { TestNode } from '../testing/test-node.ts'

const program = fileURLToPath(new URL('../commands/agent/agent.main.ts', import.meta.url))
const notices = 100_000
/** An agent from source takes some 150 MB. */
const mostResident = 500e6
const accepted = (node: TestNode): boolean => [...node.uploads.values()].some(upload => upload.accepted)

const redirectTo = (endpoint: string) =>
  create(CheckInResponseSchema, { result: { case: 'redirect', value: { endpoint, pauseMillis: 0 } } })

test('two nodes that send an agent to each other for ever hear of it ever less, and it works when they agree', async () => {
  const authority = await TestAuthority.create()
  await using folder = await temporaryFolder()
  await using one = await TestNode.start(authority)
  await using other = await TestNode.start(authority)
  one.answerCheckIn = () => redirectTo(other.endpoint)
  other.answerCheckIn = () => redirectTo(one.endpoint)
  publishBundle(one)
  one.training = trainingWork()
  const started = performance.now()
  await using _agent = launch([program, 'run'], await agentEnvironment(authority, folder.path, one.endpoint))
  await one.until('four visits', () => one.checkIns.length >= 4, 60)
  // Three are followed at once; after that the waits are at least 125, 250, 500, … ms.
  const visits = one.checkIns.length + other.checkIns.length
  assert.ok(visits <= 8 && performance.now() - started > 875, `${visits} visits`)
  one.answerCheckIn = undefined
  await one.until('work', () => accepted(one), 60)
})

test('a broker that floods an agent with notices does not make it ask more often than ten times a second, nor grow', async () => {
  const authority = await TestAuthority.create()
  await using folder = await temporaryFolder()
  await using node = await TestNode.start(authority)
  await using broker = await TestBroker.start(authority)
  publishBundle(node)
  const environment = { ...(await agentEnvironment(authority, folder.path, node.endpoint)), MQTT_URL: broker.url }
  const subscribed = broker.subscribed()
  let answers = 0
  broker.aedes.on('publish', ({ topic }) => {
    if (topic === `fl/v1/d/${device}/up/status`) answers += 1
  })
  await using agent = launch([program, 'run'], environment)
  await subscribed
  const [started, seen] = [performance.now(), node.checkIns.length]
  for (let sent = 0; sent < notices; sent += 2) {
    await broker.deliver(`fl/v1/d/${device}/down/work`, '{"kind":"work"}')
    await broker.deliver(`fl/v1/d/${device}/down/command`, '{"kind":"send-status"}')
  }
  node.training = trainingWork()
  await node.until('work', () => accepted(node), 120)
  const asked = node.checkIns.length - seen
  const most = (performance.now() - started) / 100 + 2
  assert.ok(asked <= most, `${asked} check-ins, at most ${most}`)
  // Beside its own news: idle, training, idle.
  const mostAnswers = (performance.now() - started) / 1000 + 5
  assert.ok(answers <= mostAnswers, `${answers} answers, at most ${mostAnswers}`)
  const resident = /^VmHWM:\s+(\d+) kB/m.exec(await readFile(`/proc/${agent.child.pid}/status`, 'utf8'))?.[1]
  assert.ok(Number(resident) * 1024 < mostResident, `${resident} kB`)
})
