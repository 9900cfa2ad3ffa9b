import { join } from 'node:path'
import { v7 as uuidv7 } from 'uuid'
import { BrokerConnection } from './amqp/broker-connection.ts'
import { consumeCommands } from './amqp/command-consumer.ts'
import { EventPublisher } from './amqp/event-publisher.ts'
import { declareTopology } from './amqp/topology.ts'
import { applyStatus } from './apply-status.ts'
import type { AttemptContext } from './attempt/attempt-context.ts'
import { ShardOpener } from './attempt/open-shard.ts'
import { SettledMemory } from './attempt/settled-memory.ts'
import { ShardAttempts } from './attempt/shard-attempts.ts'
import { ShardFolders } from './attempt/shard-folders.ts'
import { UploadSlots } from './attempt/upload-slots.ts'
import { CentralClient } from './central/central-client.ts'
import { CentralClock } from './central/central-clock.ts'
import { CentralLevel } from './central/central-level.ts'
import { DirectoryRefresh } from './central/directory-refresh.ts'
import { LeaseTable } from './central/lease-table.ts'
import { shipJournal } from './central/log-shipper.ts'
import { StatusLoop } from './central/status-loop.ts'
import { systemClock } from './clock.ts'
import { closeWithin } from './close-within.ts'
import type { Config } from './config.ts'
import { deploymentNotices } from './deployments/deployment-notices.ts'
import { DeploymentObjects } from './deployments/deployment-objects.ts'
import { DeploymentReports } from './deployments/deployment-reports.ts'
import { RegionDeployments } from './deployments/region-deployments.ts'
import { DescriptionReport } from './devices/description-report.ts'
import { DeviceDirectory } from './devices/device-directory.ts'
import { noticesByVolume } from './devices/notices-by-volume.ts'
import { Presence } from './devices/presence.ts'
import { PresenceReport } from './devices/presence-report.ts'
import { ShardEvaluations } from './evaluation/shard-evaluations.ts'
import { GrpcServer } from './grpc/grpc-server.ts'
import type { NodeServices } from './grpc/node-services.ts'
import { handleCommand } from './handle-command.ts'
import { boundGarbage } from './health/garbage-bound.ts'
import { HealthServer } from './health/health-server.ts'
import { createNodeMetrics } from './health/node-metrics.ts'
import { watchProcess } from './health/process-metrics.ts'
import { Gauge } from './health/prometheus.ts'
import { CertificateKeeper } from './identity/certificate-keeper.ts'
import { latestIdentity } from './identity/latest-identity.ts'
import { Receipts } from './identity/receipts.ts'
import { loadTokenKey, WorkTokens } from './identity/work-tokens.ts'
import { IotNoticeChannel } from './iot/iot-notice-channel.ts'
import { Journal } from './journal/journal.ts'
import { createLogger } from './journal/logger.ts'
import { UpdateWorkers } from './kernels/update-workers.ts'
import { Budget } from './log/budget.ts'
import { DiskRoom } from './log/disk-room.ts'
import { makeFolder } from './log/durable-files.ts'
import { DeviceChannel } from './mqtt/device-channel.ts'
import { statusRequest } from './status-request.ts'
import { ObjectCache } from './storage/object-cache.ts'
import { S3ObjectStore } from './storage/s3-object-store.ts'

export const nodeVersion = '0.1.0'

/**
 * Runs a regional node until the signal aborts, then drains: running uploads finish within a bound, leases are given back,
 * everything is closed.
 * @throws the reason, where the disk fails: a node that cannot keep a promise must not make another
 */
export const runRegionalNode = async (config: Config, stop: AbortSignal): Promise<void> => {
  const clock = new CentralClock(systemClock)
  const identity = await latestIdentity(config.tls, config.dataDir)
  const receipts = new Receipts(identity)
  const logger = createLogger(config.logLevel, identity.id)
  const journal = new Journal(logger, clock.now)
  const metrics = createNodeMetrics()
  const disk = new AbortController()
  const ending = AbortSignal.any([stop, disk.signal])
  let draining = false

  await makeFolder(config.dataDir)
  const tokens = new WorkTokens(await loadTokenKey(config.dataDir), clock.now)
  await using opened = new AsyncDisposableStack()
  const closedAtEnd = <Resource extends AsyncDisposable>(what: string, resource: Resource): Resource => {
    opened.defer(() => closeWithin(what, logger, async () => resource[Symbol.asyncDispose]()))
    return resource
  }
  const store = opened.use(new S3ObjectStore(config.bucket, { pathStyle: config.pathStyle }))
  const cache = await ObjectCache.open(join(config.dataDir, 'cache'), store, config.cacheBytes)
  const folders = await ShardFolders.open(join(config.dataDir, 'shards'))

  const workers = closedAtEnd('update workers', UpdateWorkers.open({ threads: config.updateThreads }))
  const leases = new LeaseTable(clock.monotonic)
  const settled = new SettledMemory()
  const level = new CentralLevel()
  const directory = new DeviceDirectory(({ device }) => context.notify([device], { kind: 'revoked' }))
  const presence = new Presence(
    clock.monotonic,
    device => directory.get(device) !== undefined,
    device => {
      const shard = directory.get(device)?.shard
      if (shard === undefined) return
      evaluations.presenceChanged(shard)
      // Central counts who is online before it opens a round.
      if (leases.epochOf(shard) !== undefined) status.soon()
    },
  )
  const presenceReport = new PresenceReport(presence, directory, leases, clock)
  const deployments = new RegionDeployments(
    deploymentNotices({ presence, directory, notify: (devices, notice) => context.notify(devices, notice) }),
  )
  const deploymentReports = new DeploymentReports(leases)
  const descriptionReport = new DescriptionReport(leases, clock)
  const publisher = new EventPublisher(identity.id, metrics, logger)
  const spoolRoom = new Budget(config.spoolBytes)
  const sumMemory = new Budget(config.accumulatorMemoryBytes)
  const room = new DiskRoom(clock.monotonic, error =>
    journal.report('error', `the disk has no room: ${(error as Error).message}`, { code: 'NODE_FULL' }),
  )
  const context: AttemptContext = {
    clock,
    identity,
    receipts,
    leases,
    directory,
    presence,
    cache,
    store,
    workers,
    spoolRoom,
    room,
    sumMemory,
    limits: {
      fold: { updates: config.foldUpdates, bytes: config.foldBytes },
      reservedBytes: config.diskReserveBytes,
    },
    publish: (type, data, signal) => publisher.publish(type, data, signal),
    notify: (devices, notice) => notices.notify([...devices], notice),
    statusChanged: () => status.soon(),
    journal,
    metrics,
    onShardLost: (place, error) => {
      leases.drop(place.shard)
      shards.lose(place, error)
    },
    onDiskFailure: error => {
      logger.fatal({ err: error }, 'the disk failed: the node stops')
      disk.abort(error)
    },
  }
  const attempts = new ShardAttempts(context, folders, settled)
  const evaluations = new ShardEvaluations(context, folders)
  opened.defer(() => attempts.close())
  opened.defer(() => evaluations.close())

  const slots = new UploadSlots()
  const directoryRefresh = new DirectoryRefresh(clock, (millis: number): Promise<void> => status.refreshed(millis))
  const central = new CentralClient(config.centralUrl, identity, clock)
  const services: NodeServices = {
    ...context,
    tokens,
    attempts,
    evaluations,
    deployments,
    deploymentReports,
    descriptionReport,
    deploymentObjects: new DeploymentObjects({ cache, deployments, clock, journal, stop: ending }),
    settled,
    slots,
    uploads: new Budget(config.maxUploads),
    uploadBytes: new Budget(config.uploadBytes),
    now: clock.now,
    stallMillis: config.stallMillis,
    isDraining: () => draining,
    refreshDirectory: (millis: number): Promise<void> => directoryRefresh.refreshed(millis),
  }
  const holdsLease = () => leases.shards.some(({ shard, epoch }) => leases.holds(shard, epoch))
  const isServing = () => !draining && !disk.signal.aborted && !room.isFull && holdsLease()
  const server = new GrpcServer(services, isServing, config.maxConnections)
  const opening = { folders, attempts, evaluations, journal }
  const shards = new ShardOpener(opening, clock, () => status.soon())
  const takeOver = applyStatus({ shards, leases, attempts, evaluations, directory, level, deployments })
  const status: StatusLoop = new StatusLoop(
    {
      request: statusRequest({
        nodeVersion,
        boot: uuidv7(),
        endpoint: () => config.grpcEndpoint ?? `${config.grpcListen.host}:${server.port}`,
        isDraining: () => draining,
        connections: () => server.runningCalls,
        folders,
        attempts,
        evaluations,
        directory,
        presence,
        presenceReport,
        deploymentReports,
        descriptionReport,
      }),
      send: async (request, signal) => {
        const answer = await central.status(request, signal)
        presenceReport.confirmed()
        deploymentReports.confirmed()
        descriptionReport.confirmed()
        return answer
      },
      apply: async (answer, sentAt) => {
        const more = [presenceReport, deploymentReports, descriptionReport].some(({ hasMore }) => hasMore)
        if ((await takeOver(answer, sentAt)) || more) status.soon()
        region.resolve(answer.region)
      },
    },
    clock,
    logger,
  )
  const region = Promise.withResolvers<string>()
  region.promise.catch(() => {})
  const commands = handleCommand({
    attempts,
    evaluations,
    directory,
    level,
    deployments,
    askCentral: () => status.soon(),
  })
  const broker = closedAtEnd(
    'broker',
    new BrokerConnection(config.amqpUrl, `regional-node ${identity.id}`, logger, async connection => {
      const events = await connection.createConfirmChannel()
      const inbound = await connection.createChannel()
      // A channel that the broker closed takes its connection with it, which is then opened anew as a whole.
      const reopen = () => void connection.close().catch(() => {})
      for (const open of [events, inbound]) {
        open.on('error', error => logger.warn({ err: error }, 'a broker channel failed'))
        open.on('close', reopen)
      }
      const queue = await declareTopology(inbound, identity.id, await region.promise)
      publisher.use(events)
      await consumeCommands(inbound, events, queue, commands, { journal, metrics, onCancelled: reopen })
    }),
  )
  const channel = closedAtEnd(
    'device channel',
    new DeviceChannel(
      config.mqttUrl,
      identity,
      {
        onStatus: (device, state) => presence.reported(device, state),
        onLost: () => presence.forgetConnections(),
      },
      { metrics, logger },
    ),
  )
  const dataPlane = closedAtEnd('IoT data plane', new IotNoticeChannel(clock.monotonic, { metrics, logger }))
  const notices = noticesByVolume({ few: channel, many: dataPlane }, config.noticesByDataPlaneAbove, clock.monotonic)
  const keeper = new CertificateKeeper({
    central,
    identity,
    dataDir: config.dataDir,
    onRenewed: renewed => {
      server.useIdentity(renewed)
      channel.useIdentity(renewed)
      central.useIdentity(renewed)
      receipts.useIdentity(renewed)
    },
    clock,
    logger,
  })
  const watched = opened.use(watchProcess())
  opened.use(boundGarbage())
  const health = closedAtEnd(
    'health server',
    await HealthServer.listen(
      config.httpListen,
      {
        central: () => leases.remainingMillis > 0 || (status.failures === 0 && directory.complete),
        broker: () => broker.isConnected,
        devices: () => channel.isConnected,
        disk: () => !disk.signal.aborted,
        room: () => !room.isFull,
        serving: () => !draining,
      },
      [
        ...Object.values(metrics),
        new Gauge('tributary_shards_leased', 'Shards that this node leases.', () => leases.shards.length),
        new Gauge('tributary_attempts', 'Attempts that this node keeps something for.', () => attempts.holding.length),
        new Gauge('tributary_uploads_running', 'Uploads that run now.', () => slots.running),
        new Gauge('tributary_spool_bytes', 'Bytes of logs, of spooled updates and of sum files.', () => spoolRoom.used),
        new Gauge('tributary_disk_full', 'Whether a write found no room within the last 15 s.', () =>
          Number(room.isFull),
        ),
        new Gauge('tributary_disk_refusals', 'Writes and updates that found no room.', () => room.refusals),
        new Gauge(
          'tributary_update_jobs_waiting',
          'Checks and additions that wait for a thread.',
          () => workers.queued,
        ),
        new Gauge('tributary_sum_memory_bytes', 'Bytes of sums in memory.', () => sumMemory.used),
        new Gauge('tributary_cache_bytes', 'Bytes of cached models.', () => cache.usedBytes),
        new Gauge('tributary_grpc_connections', 'Connections of devices.', () => server.connections),
        new Gauge('tributary_grpc_calls_running', 'Calls of devices that run now.', () => server.runningCalls),
        new Gauge('tributary_journal_waiting', 'Log entries that wait for central.', () => journal.waiting),
        new Gauge(
          'tributary_certificate_expires_seconds',
          "When the node's certificate expires, Unix seconds.",
          () => keeper.expiresAt / 1000,
        ),
        ...watched.metrics,
      ],
    ),
  )

  await server.listen(config.grpcListen, identity)
  const shipping = new AbortController()
  const kept = keeper.run(ending)
  const shipped = shipJournal(journal, (request, signal) => central.logs(request, signal), clock, shipping.signal)
  status.start()
  broker.start()
  logger.info({ grpcPort: server.port, httpPort: health.port, version: nodeVersion }, 'the node is up')

  if (!ending.aborted)
    await new Promise<void>(resolve => ending.addEventListener('abort', () => resolve(), { once: true }))

  draining = true
  logger.info('the node drains')
  slots.drain()
  const deadline = disk.signal.aborted ? AbortSignal.abort(disk.signal.reason) : AbortSignal.timeout(config.drainMillis)
  await slots.idle(deadline)
  // Leases are given back only when no upload runs any more: a receipt must not be given for what is another's.
  leases.release()
  if (!(await status.finish())) logger.warn('central was not told that the node drains')
  await closeWithin('gRPC server', logger, () => server.close(AbortSignal.any([deadline, AbortSignal.timeout(1000)])))
  region.reject(new Error('the node stops'))
  shipping.abort()
  await closeWithin('log shipper', logger, () => shipped)
  await closeWithin('certificate keeper', logger, () => kept)
  if (disk.signal.aborted) throw disk.signal.reason
}
