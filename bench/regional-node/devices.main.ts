/** A process of simulated devices; its parent sends orders. */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import {
  CheckInRequestSchema,
  CheckInResponseSchema,
  Codec,
  PushUpdateRequestSchema,
  PushUpdateResponseSchema,
  type TrainingWork,
  UpdateHeaderSchema,
  UpdateKind,
  VerdictCode,
} from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { federatedLearningMethods } from '@tributary/contracts/grpc-service'
import { GrpcConnection } from './grpc-connection.ts'
import type { Answer, Done, Order, SimulatedDevice } from './orders.ts'
import { framed, type UpdateFrames, updateFrames } from './update-frames.ts'

type Device = SimulatedDevice & { connection?: GrpcConnection; work?: TrainingWork | undefined }

const checkInFrame = framed(
  toBinary(
    CheckInRequestSchema,
    create(CheckInRequestSchema, {
      protocolMin: 1,
      protocolMax: 1,
      agentVersion: '0.1.0',
      datasets: [{ name: 'digits', examples: 100n }],
      frameworks: ['onnx'],
      conditions: ['idle'],
    }),
  ),
)

const mostTries = 1200

let devices: Device[] = []
let port = 0
const bodies = new Map<number, UpdateFrames>()

const connect = async (device: Device): Promise<GrpcConnection> => {
  device.connection ??= await GrpcConnection.open(port, device.tls)
  return device.connection
}

const disconnect = (device: Device): void => {
  device.connection?.close()
  delete device.connection
}

const checkIn = async (device: Device): Promise<void> => {
  delete device.work
  const connection = await connect(device)
  const { result } = fromBinary(
    CheckInResponseSchema,
    await connection.call(federatedLearningMethods.checkIn.path, [checkInFrame]),
  )
  if (result.case === 'assignment') device.work = result.value.training
}

/** The node may still be fetching the model, and who was not there when it selected comes in with its next check-in. */
const untilWork = async (device: Device): Promise<void> => {
  for (let tries = 0; tries < mostTries; tries += 1) {
    await checkIn(device)
    if (device.work !== undefined) return
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  throw new Error(`device ${device.id} is given no work`)
}

const headerFrame = (work: TrainingWork | undefined, { sha256, totalBytes }: UpdateFrames): Buffer => {
  const value = create(UpdateHeaderSchema, {
    token: work?.token ?? '',
    kind: UpdateKind.DELTA,
    codec: Codec.NONE,
    baseSha256: work?.base?.sha256 ?? '',
    totalBytes: BigInt(totalBytes),
    sha256,
    examples: 100n,
    trainSeconds: 1,
    metrics: [{ name: 'loss_q20', value: 7n }],
  })
  return framed(toBinary(PushUpdateRequestSchema, create(PushUpdateRequestSchema, { part: { case: 'header', value } })))
}

/** Whether the update was taken at once; refusals that say when to come again are followed. */
const push = async (device: Device, body: UpdateFrames, isBare: boolean): Promise<number> => {
  const connection = await connect(device)
  if (!isBare && device.work === undefined) throw new Error(`device ${device.id} has no work`)
  const frames = [headerFrame(device.work, body), ...body.frames]
  for (let refused = 0; ; refused += 1) {
    const { verdict } = fromBinary(
      PushUpdateResponseSchema,
      await connection.call(federatedLearningMethods.pushUpdate.path, frames),
    )
    if (verdict?.code === VerdictCode.ACCEPTED) return refused
    if (verdict?.code !== VerdictCode.RETRY_AFTER) throw new Error(`verdict ${verdict?.code}: ${verdict?.detail}`)
    await new Promise(resolve => setTimeout(resolve, verdict.retryAfterMillis))
  }
}

/** Does it for the first `count` devices, so many at once. */
const forEach = async (count: number, atOnce: number, action: (device: Device) => Promise<number>): Promise<Done> => {
  const times: number[] = []
  let refused = 0
  let next = 0
  const began = performance.now()
  const cpu = process.cpuUsage()
  const lane = async (): Promise<void> => {
    for (let device = devices[next++]; device !== undefined && next <= count; device = devices[next++]) {
      const start = performance.now()
      refused += await action(device)
      times.push(performance.now() - start)
    }
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, lane))
  const { user, system } = process.cpuUsage(cpu)
  const seconds = (performance.now() - began) / 1000
  return { done: times.length, seconds, cpuSeconds: (user + system) / 1e6, times, refused }
}

const perform = async (order: Order): Promise<Done> => {
  const nothing = { done: 0, seconds: 0, cpuSeconds: 0, times: [], refused: 0 }
  switch (order.kind) {
    case 'enrol':
      for (const device of devices) disconnect(device)
      devices = [...order.devices]
      port = order.port
      return nothing
    case 'connect':
      return forEach(order.count, order.atOnce, async device => {
        await connect(device)
        return 0
      })
    case 'disconnect':
      for (const device of devices) disconnect(device)
      return nothing
    case 'checkIn':
      return forEach(order.count, order.atOnce, async device => {
        await (order.wantsWork ? untilWork : checkIn)(device)
        return 0
      })
    case 'push': {
      const body = bodies.get(order.values) ?? updateFrames(order.values)
      bodies.set(order.values, body)
      return forEach(order.count, order.atOnce, async device => {
        if (order.isVisit) await untilWork(device)
        const refused = await push(device, body, order.isBare)
        if (order.isVisit) disconnect(device)
        return refused
      })
    }
  }
}

process.on('message', (order: Order) => {
  const send = (answer: Answer): void => void process.send?.(answer)
  perform(order).then(
    ok => send({ ok }),
    (error: Error) => send({ failed: error.stack ?? error.message }),
  )
})
process.on('disconnect', () => {
  for (const device of devices) disconnect(device)
})
