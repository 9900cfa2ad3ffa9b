/**
 * Peak memory of an edge agent that trains the CNN of McMahan et al. (1 663 370 parameters) on MNIST, pushes the update,
 * evaluates the version on the 10 000 test images, and does all of it once more with the next version, which it pulls:
 * the agent as it is shipped, a process of its own. What counts is the largest resident size that Linux saw (VmHWM) of the
 * agent and that of the process which trains for it, added up although they were not at the same time and share the pages of
 * Node itself; and what the agent takes before any work and again once that process has ended. Exit code 1 above a limit.
 *
 * Other than in a federation, one agent does the work of a trainer and of an evaluator (which there are two agents, each
 * with less in memory), the node is that of the tests, and there is no broker to connect to.
 *
 *   node bench/agent-memory.ts [batch size, default 10] [examples, default 15000: MNIST over four devices]
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { TestAuthority } from '@tributary/edge-agent/testing/certificates'
import { childrenOf } from '@tributary/edge-agent/testing/child-processes'
import {
  bundleOf,
  evaluationWork,
  identityOf,
  publish,
  temporaryFolder,
  trainingWork,
} from '@tributary/edge-agent/testing/federation'
import { TestNode } from '@tributary/edge-agent/testing/test-node'
import { type DigitSet, encodeIdx, readMnist } from '@tributary/local-stack/demo/mnist'
import { mcmahanCnn } from '@tributary/onnx-train/models/mcmahan'

const batchSize = Number(process.argv[2] ?? 10)
const examples = Number(process.argv[3] ?? 15_000)
const limitMegabytes = 300
const idleLimitMegabytes = 120
const patienceSeconds = 300

const packageFolder = fileURLToPath(new URL('../edge-agent', import.meta.url))

await once(spawn(process.execPath, ['build.ts'], { cwd: packageFolder, stdio: 'inherit' }), 'exit')
await using folder = await temporaryFolder()
const authority = await TestAuthority.create()
await using node = await TestNode.start(authority)

const agent = spawn(process.execPath, [join(packageFolder, 'dist/main.mjs')], {
  env: await prepare(folder.path),
  stdio: ['pipe', 'inherit', 'inherit'],
})
const ended = once(agent, 'exit')
const agentPid = agent.pid ?? 0
type Resident = { now: number; peak: number }
let trainerPeak = 0
try {
  await node.until('a check-in', () => node.checkIns.length > 1, patienceSeconds)
  await tell('idle')
  const idleBefore = (await memory()).agent.now
  for (const round of [1, 2]) {
    // Other weights for the same graph: what a merge gives.
    const model = bundleOf(mcmahanCnn(round))
    publish(node, model)
    const training = trainingWork({ round, batchSize, dataset: 'digits', model })
    node.training = training
    const accepted = (): number => [...node.uploads.values()].filter(upload => upload.accepted).length
    await node.until(`update ${round}`, () => accepted() === round, patienceSeconds)
    node.training = undefined
    node.settled = [{ attempt: training.attempt as NonNullable<typeof training.attempt> }]
    await tell(`round ${round} trained`)
    node.evaluation = { ...evaluationWork(model.weights, { dataset: 'test', model }), evaluation: evaluationId(round) }
    await node.until(`evaluation ${round}`, () => node.reports.length === round, patienceSeconds)
    await tell(`round ${round} evaluated`)
  }
  const { agent, trainer } = await memory()
  const peak = agent.peak + trainer.peak
  while (childrenOf(agentPid).length > 0) await delay(200)
  await tell('idle again')
  const idle = Math.max(idleBefore, (await memory()).agent.now)
  judge(`peak of both, batch ${batchSize}, ${examples} examples`, peak, limitMegabytes)
  judge('idle', idle, idleLimitMegabytes)
} finally {
  agent.kill('SIGTERM')
  await ended
}

function judge(what: string, megabytes: number, limit: number): void {
  const good = megabytes < limit
  console.log(`${what}: ${megabytes.toFixed(0)} MB (${good ? 'below' : 'ABOVE'} ${limit})`)
  if (!good) process.exitCode = 1
}

function evaluationId(round: number): string {
  return `0190b5a0-0000-7000-8000-0000000000e${round}`
}

async function prepare(path: string): Promise<Record<string, string>> {
  const identity = await identityOf(authority)
  const data = join(path, 'data')
  await mkdir(data)
  const { train, test } = await readMnist()
  await writeDigits(data, '', train, examples)
  await writeDigits(data, 'test-', test, test.count)
  const declared = { format: 'idx', scale: 255 }
  const datasets = [
    { ...declared, name: 'digits', images: 'images.idx', labels: 'labels.idx' },
    { ...declared, name: 'test', heldOut: true, images: 'test-images.idx', labels: 'test-labels.idx' },
  ]
  await writeFile(join(data, 'datasets.json'), JSON.stringify({ datasets }))
  await writeFile(join(path, 'cert.pem'), identity.certificate)
  await writeFile(join(path, 'key.pem'), identity.key)
  await writeFile(join(path, 'ca.pem'), identity.authority)
  return {
    AGENT_CERT_FILE: join(path, 'cert.pem'),
    AGENT_KEY_FILE: join(path, 'key.pem'),
    AUTHORITY_CERT_FILE: join(path, 'ca.pem'),
    NODE_ENDPOINTS: node.endpoint,
    MQTT_URL: 'mqtts://localhost:9',
    DATA_DIR: data,
    STATE_DIR: join(path, 'state'),
    LOG_LEVEL: 'error',
    TRAINER_IDLE_SECONDS: '5',
  }
}

async function writeDigits(folder: string, prefix: string, set: DigitSet, count: number): Promise<void> {
  const { images, labels } = encodeIdx(
    set,
    Array.from({ length: count }, (_, index) => index),
  )
  await writeFile(join(folder, `${prefix}images.idx`), images)
  await writeFile(join(folder, `${prefix}labels.idx`), labels)
}

async function tell(when: string): Promise<void> {
  const { agent, trainer } = await memory()
  const both = [agent, trainer].map(({ now, peak }) => `${now.toFixed(0)} (peak ${peak.toFixed(0)})`)
  console.log(`${when}: agent ${both[0]} MB, trainer ${both[1]} MB`)
}

/** Resident megabytes of the agent and of the process that it starts; what that one took at most is remembered. */
async function memory(): Promise<Record<'agent' | 'trainer', Resident>> {
  const children = await Promise.all(childrenOf(agentPid).map(residentOf))
  const now = children.reduce((sum, child) => sum + child.now, 0)
  trainerPeak = Math.max(trainerPeak, ...children.map(({ peak }) => peak))
  return { agent: await residentOf(agentPid), trainer: { now, peak: trainerPeak } }
}

async function residentOf(pid: number): Promise<Resident> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8')
  const megabytes = (field: string): number =>
    (Number(new RegExp(`${field}:\\s+(\\d+)`).exec(text)?.[1] ?? 0) * 1024) / 1e6
  return { now: megabytes('VmRSS'), peak: megabytes('VmHWM') }
}
