import { createServer } from 'node:net'
import type { StackEnvironment } from './config.ts'
import { portTable, type ServicePort, type StackPorts } from './ports.ts'

export interface BusyPort {
  readonly port: number
  readonly service: string
  readonly reason: 'in use' | 'not permitted'
}

/** Ports that other programs hold; the message names each, its service and the option that moves it. */
export class BusyPortsError extends Error {
  readonly busy: readonly BusyPort[]

  constructor(busy: readonly BusyPort[]) {
    const list = busy.map(({ port, service, reason }) => `port ${port} (${service}) is ${reason}`).join(', ')
    super(`${list}. End what listens there, or move the whole stack: npm start -- --port-base 20000`)
    this.name = 'BusyPortsError'
    this.busy = busy
  }
}

/** Tries to listen on every port of the stack on loopback, except those of services that are `elsewhere`. */
export async function findBusyPorts(
  ports: StackPorts,
  elsewhere: ReadonlySet<ServicePort> = new Set(),
): Promise<BusyPort[]> {
  const wanted = (Object.keys(portTable) as ServicePort[])
    .filter(key => !elsewhere.has(key))
    .map(key => ({ port: ports[key], service: portTable[key].service }))
  for (const [node, port] of ports.nodeGrpc.entries()) wanted.push({ port, service: `gRPC of regional node ${node}` })
  for (const [node, port] of ports.nodeMetrics.entries())
    wanted.push({ port, service: `metrics of regional node ${node}` })
  for (const [agent, port] of ports.agentInference.entries())
    wanted.push({ port, service: `predictions of agent ${agent}` })
  const tried = await Promise.all(wanted.map(async want => ({ ...want, reason: await whyNot(want.port) })))
  return tried.flatMap(({ port, service, reason }) => (reason === undefined ? [] : [{ port, service, reason }]))
}

/** The services that the environment says run elsewhere, so that their ports are not ours. */
export function servicesElsewhere({
  amqpUrl,
  redisUrl,
}: Pick<StackEnvironment, 'amqpUrl' | 'redisUrl'>): Set<ServicePort> {
  const rabbit: ServicePort[] = ['amqp', 'amqpManagement', 'amqpDistribution', 'epmd']
  return new Set<ServicePort>([...(amqpUrl ? rabbit : []), ...(redisUrl ? (['redis'] as const) : [])])
}

function whyNot(port: number): Promise<BusyPort['reason'] | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve('in use')
      else if (error.code === 'EACCES') resolve('not permitted')
      else reject(error)
    })
    server.listen({ host: '127.0.0.1', port, exclusive: true }, () => server.close(() => resolve(undefined)))
  })
}
