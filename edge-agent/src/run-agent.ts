import { join } from 'node:path'
import { Agent } from './agent/agent.ts'
import { readConditions } from './agent/device/device-conditions.ts'
import { ConfigError, loadConfig } from './config.ts'
import { DataError } from './data/data-error.ts'
import { Datasets } from './data/datasets.ts'
import { Deployments } from './deployments/deployments.ts'
import { endSignal } from './end-signal.ts'
import { Inference, InferenceSettingsError } from './inference/inference.ts'
import { createLog } from './log.ts'
import { ByteMeter } from './policy/byte-meter.ts'
import { PolicyFile } from './policy/policy-file.ts'
import { PolicyGate } from './policy/policy-gate.ts'
import { readSituation } from './policy/read-situation.ts'
import { TrainersFileError } from './python-worker/installed-trainers.ts'
import { PythonTrainers } from './python-worker/python-trainers.ts'
import { AgentFileError } from './settings/agent-file.ts'
import { LocalTensors, localTensorsFolder } from './state/local-tensors.ts'
import { ObjectCache } from './state/object-cache.ts'
import { Outbox } from './state/outbox.ts'
import { UpdateStore } from './state/update-store.ts'
import { Ledger } from './status/ledger.ts'
import type { LiveStatus } from './status/live-status.ts'
import { serveStatus } from './status/status-socket.ts'
import { OnnxTrainer } from './training/onnx-trainer.ts'
import { CertificateKeeper } from './transport/certificate-keeper.ts'
import { ClockWatch } from './transport/clock-watch.ts'
import { Endpoints } from './transport/endpoints.ts'
import { IdentityError, readIdentity } from './transport/identity.ts'
import { defaultCallTimes } from './transport/node-client.ts'
import { Notices } from './transport/notices.ts'
import { agentVersion } from './version.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** Kept updates at once. */
const maxKeptUpdates = 8

const run = async (environment: Environment | undefined, asked: AbortSignal | undefined): Promise<void> => {
  const config = await loadConfig(environment)
  const identity = await readIdentity(config.identity)
  const { device } = identity
  const log = createLog(config.log, device)
  using life = endSignal()
  const signal = asked === undefined ? life.signal : AbortSignal.any([life.signal, asked])
  const idleSeconds = config.trainerIdleSeconds
  const datasets = await Datasets.open(config.dataDir, {
    maxBytes: config.maxDatasetBytes,
    cacheDir: join(config.stateDir, 'datasets'),
    cacheBytes: config.datasetCacheBytes,
  })
  const objects = await ObjectCache.open(join(config.stateDir, 'objects'), config.objectCacheBytes)
  const limits = { maxUpdates: maxKeptUpdates, maxBytes: Math.max(config.maxModelBytes, config.objectCacheBytes) }
  const updates = await UpdateStore.open(join(config.stateDir, 'updates'), limits)
  await using meter = await ByteMeter.open(join(config.stateDir, 'bytes.json'))
  using endpoints = new Endpoints(config.endpoints, identity, defaultCallTimes, meter.add)
  await using outbox = await Outbox.open(join(config.stateDir, 'outbox.json'))
  using ledger = new Ledger(config.stateDir, log)
  const policy = new PolicyGate({
    file: new PolicyFile(config.dataDir),
    situation: () =>
      readSituation({ metered: config.networkMetered, bytesToday: meter.today, ownJobs: agent.runningJobs }),
    log,
  })
  await using trainer = new OnnxTrainer({ idleSeconds, limits: () => policy.limits, ...bundledWorker() })
  const local = await LocalTensors.open(localTensorsFolder(config.stateDir), config.localTensorsBytes)
  const python = await PythonTrainers.open({
    dataDir: config.dataDir,
    folder: join(config.stateDir, 'python'),
    local,
    log,
    limits: () => policy.limits,
  })
  const conditions = () => readConditions({ metered: config.networkMetered })
  const { maxModelBytes, centralUrl, dataDir } = config
  const workerUrl = bundled('./model-worker.mjs')
  await using inference = new Inference({ settings: config.inference, dataDir, datasets, workerUrl, log })
  const deployments = await Deployments.open({
    folder: join(config.stateDir, 'deployments'),
    maxBytes: config.deployedBytes,
    maxModelBytes,
    endpoints,
    versions: inference.models,
    personal: { datasets, trainer, local, policy },
    policy,
    log,
  })
  await inference.serve(deployments)
  const context = {
    device,
    endpoints,
    clock: new ClockWatch({ centralUrl, log }),
    objects,
    updates,
    local,
    deployments,
    datasets,
    trainer,
    python,
    conditions,
    policy,
    outbox,
    ledger,
    log,
    maxModelBytes,
  }
  const agent: Agent = new Agent(context, status => notices.setStatus(status))
  const notices = new Notices({
    url: config.mqttUrl,
    alpn: config.mqttAlpn,
    identity,
    onNotice: () => agent.notice(),
    onCommand: ({ kind }) => {
      log.info({ kind }, 'an operator asks')
      if (kind === 'renew-certificate') keeper.renewNow()
      else agent.notice()
    },
    log,
  })
  const { certificateFile } = config.identity
  const keeper = new CertificateKeeper({
    centralUrl,
    identity,
    certificateFile,
    onRenewed: renewed => {
      endpoints.useIdentity(renewed)
      notices.useIdentity(renewed)
      // The first check-in with the new one ends the time of the one before.
      agent.notice()
    },
    log,
  })
  const startedAt = new Date().toISOString()
  const status = (): LiveStatus => ({
    device,
    version: agentVersion,
    processId: process.pid,
    startedAt,
    ...agent.status,
    broker: { url: config.mqttUrl, connected: notices.connected },
    certificateUntil: keeper.expiry,
    bytesToday: meter.today,
  })
  await using _socket = await serveStatus(config.stateDir, status, log)
  log.info({ endpoints: config.endpoints }, 'agent started')
  await Promise.all([agent.run(signal), notices.run(signal), keeper.run(signal)])
  log.info({ reason: (signal.reason as Error).message }, 'agent stopped')
}

/** Where the worker is once esbuild has put everything beside this file. */
const bundledWorker = (): { workerUrl?: URL } =>
  import.meta.url.endsWith('.ts') ? {} : { workerUrl: new URL('./onnx-worker.mjs', import.meta.url) }

/** A file beside this one, once esbuild has put everything there. */
const bundled = (file: string): URL | undefined =>
  import.meta.url.endsWith('.ts') ? undefined : new URL(file, import.meta.url)

/** What a person can mend; the message says how. */
const expectedErrors = [
  ConfigError,
  AgentFileError,
  IdentityError,
  DataError,
  InferenceSettingsError,
  TrainersFileError,
]

/**
 * Runs the agent until the process is asked to end. Whoever calls it imports `small-heap.ts` before.
 * @param environment settings; what is not set there comes from `agent.json`. @default that of the process
 * @param asked ends it too. Whoever took the signals of the process before, while this was loaded, hands on what came.
 * @returns the exit code: 0 stopped, 3 cannot run as it is set up, 1 anything else
 */
export const runAgent = async (environment?: Environment, asked?: AbortSignal): Promise<number> => {
  try {
    await run(environment, asked)
    return 0
  } catch (error) {
    const expected = expectedErrors.some(kind => error instanceof kind)
    console.error(expected ? (error as Error).message : error)
    return expected ? 3 : 1
  }
}
