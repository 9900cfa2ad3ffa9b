/** The loopback ports of one stack. `nodes[i]` belongs to regional node i. */
export interface StackPorts {
  readonly postgres: number
  readonly api: number
  readonly console: number
  readonly redis: number
  readonly amqp: number
  readonly amqpManagement: number
  readonly mqtt: number
  readonly mqttWebSocket: number
  readonly objectStorage: number
  readonly upstashRest: number
  readonly iotData: number
  readonly lambda: number
  readonly amqpDistribution: number
  readonly epmd: number
  /** gRPC of the regional nodes, by index. */
  readonly nodeGrpc: readonly number[]
  /** Health and metrics of the regional nodes, by index. */
  readonly nodeMetrics: readonly number[]
  /** Predictions of the agents over HTTP, by index; the evaluator is the last. */
  readonly agentInference: readonly number[]
}

export type ServicePort = Exclude<keyof StackPorts, 'nodeGrpc' | 'nodeMetrics' | 'agentInference'>

interface PortRow {
  readonly service: string
  readonly port: number
  readonly offset: number
}

/** Name, default port and offset from `--port-base`: the table of the README. */
export const portTable: Readonly<Record<ServicePort, PortRow>> = {
  postgres: { service: 'Postgres', port: 5432, offset: 0 },
  api: { service: 'the API', port: 8085, offset: 1 },
  console: { service: 'the console', port: 8086, offset: 2 },
  redis: { service: 'Redis', port: 6379, offset: 3 },
  amqp: { service: 'RabbitMQ', port: 5672, offset: 4 },
  amqpManagement: { service: "RabbitMQ's management", port: 15672, offset: 5 },
  mqtt: { service: 'MQTT', port: 1883, offset: 6 },
  mqttWebSocket: { service: 'MQTT over WebSocket', port: 9001, offset: 7 },
  objectStorage: { service: 'object storage', port: 9000, offset: 8 },
  upstashRest: { service: 'Upstash REST', port: 8087, offset: 10 },
  iotData: { service: 'the IoT data plane', port: 8088, offset: 11 },
  lambda: { service: 'Lambda', port: 8089, offset: 12 },
  amqpDistribution: { service: "RabbitMQ's Erlang distribution", port: 8094, offset: 13 },
  epmd: { service: "RabbitMQ's port mapper (epmd)", port: 8095, offset: 14 },
}

/** Most regions (regional nodes) that one stack has ports for. */
export const maxRegions = 40

const grpcOfNode = { port: 8100, offset: 20 }
const metricsOfNode = { port: 8200, offset: 60 }
const inferenceOfAgent = { port: 10_100, offset: metricsOfNode.offset + maxRegions }

/**
 * The ports of a stack with `regions` regional nodes and `agents` agents: the defaults, or a fixed offset per service from `portBase`.
 *
 * @throws RangeError for a base outside 1024..65535 − 100 − agents or more than 40 regions.
 */
export function stackPorts({
  portBase,
  regions,
  agents = 0,
}: {
  portBase?: number | undefined
  regions: number
  agents?: number
}): StackPorts {
  if (!Number.isInteger(regions) || regions < 1 || regions > maxRegions) {
    throw new RangeError(`there are ports for 1 to ${maxRegions} regions, not ${regions}`)
  }
  const highest = 65_536 - inferenceOfAgent.offset - agents
  if (portBase !== undefined && (!Number.isInteger(portBase) || portBase < 1024 || portBase > highest)) {
    throw new RangeError(`the port base must be a whole number from 1024 to ${highest}, not ${portBase}`)
  }
  const place = ({ port, offset }: { port: number; offset: number }) =>
    portBase === undefined ? port : portBase + offset
  const ofEach = (count: number, first: { port: number; offset: number }) =>
    Array.from({ length: count }, (_, index) => place(first) + index)
  const of = (key: ServicePort) => place(portTable[key])
  return {
    postgres: of('postgres'),
    api: of('api'),
    console: of('console'),
    redis: of('redis'),
    amqp: of('amqp'),
    amqpManagement: of('amqpManagement'),
    mqtt: of('mqtt'),
    mqttWebSocket: of('mqttWebSocket'),
    objectStorage: of('objectStorage'),
    upstashRest: of('upstashRest'),
    iotData: of('iotData'),
    lambda: of('lambda'),
    amqpDistribution: of('amqpDistribution'),
    epmd: of('epmd'),
    nodeGrpc: ofEach(regions, grpcOfNode),
    nodeMetrics: ofEach(regions, metricsOfNode),
    agentInference: ofEach(agents, inferenceOfAgent),
  }
}
