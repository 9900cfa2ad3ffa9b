import { join } from 'node:path'
import { apiFunctions } from '@tributary/contracts/routes/route'
import type { BackingServices } from '../services/start-services.ts'
import type { Identity } from './identity.ts'

/** Environments of the deployables: only endpoints and credentials differ from the cloud. */

const path = '/usr/local/bin:/usr/bin:/bin'

/** What the AWS SDKs read by themselves. */
const awsEnvironment = (services: BackingServices): Record<string, string> => ({
  AWS_REGION: services.aws.region,
  AWS_ACCESS_KEY_ID: services.aws.accessKeyId,
  AWS_SECRET_ACCESS_KEY: services.aws.secretAccessKey,
  AWS_ENDPOINT_URL_S3: services.objectStorage.url,
  BUCKET: services.objectStorage.buckets[0] ?? '',
  OBJECT_STORAGE_PATH_STYLE: 'true',
})

/** What every function gets, and what only some may know: rights follow functions. */
export const functionEnvironment = (
  services: BackingServices,
  more: { lambdaUrl: string; apiTokens: string },
): { common: Record<string, string>; functions: Record<string, Record<string, string>> } => {
  const authority = { AUTHORITY_CERT_FILE: services.certificates.certificateFile }
  const people = { API_TOKENS: more.apiTokens }
  return {
    common: {
      ...awsEnvironment(services),
      DATABASE_URL: services.postgres.url,
      AWS_ENDPOINT_URL_LAMBDA: more.lambdaUrl,
      UPSTASH_REDIS_REST_URL: services.upstashRest.url,
      UPSTASH_REDIS_REST_TOKEN: services.upstashRest.token,
      RELAY_FUNCTION: 'relay',
      MERGE_FUNCTION: 'merge',
      VERSION_JOBS_FUNCTION: 'version-jobs',
      LOG_LEVEL: 'info',
    },
    functions: {
      ...Object.fromEntries(apiFunctions.map(name => [name, { ...people, ...authority }])),
      fleet: {
        ...people,
        ...authority,
        AUTHORITY_KEY_FILE: services.certificates.keyFile,
        AWS_ENDPOINT_URL_IOT_DATA_PLANE: services.iotData.url,
        DEVICE_MQTT_URL: services.mqtt.url,
      },
      relay: { AMQP_URL: services.rabbit.url },
    },
  }
}

export const nodeEnvironment = (
  services: BackingServices,
  identity: Identity,
  more: { apiUrl: string; grpcPort: number; httpPort: number; dataFolder: string },
): Record<string, string> => ({
  ...awsEnvironment(services),
  PATH: path,
  // Memory that each thread keeps for itself beyond what it needs.
  MALLOC_ARENA_MAX: '2',
  NODE_CERT_FILE: identity.certificateFile,
  NODE_KEY_FILE: identity.keyFile,
  AUTHORITY_CERT_FILE: services.certificates.certificateFile,
  CENTRAL_URL: more.apiUrl,
  AMQP_URL: services.rabbit.url,
  MQTT_URL: services.mqtt.url,
  AWS_ENDPOINT_URL_IOT_DATA_PLANE: services.iotData.url,
  // Far below the limit of AWS: ten devices hear of a round by the data plane, a few by the session, so both ways are in use.
  NOTICES_BY_DATA_PLANE_ABOVE: '4',
  GRPC_LISTEN: `127.0.0.1:${more.grpcPort}`,
  GRPC_ENDPOINT: `localhost:${more.grpcPort}`,
  HTTP_LISTEN: `127.0.0.1:${more.httpPort}`,
  DATA_DIR: more.dataFolder,
  LOG_LEVEL: 'info',
})

export const agentEnvironment = (
  services: BackingServices,
  identity: Identity,
  more: {
    apiUrl: string
    nodeEndpoints: readonly string[]
    dataFolder: string
    stateFolder: string
    inferencePort: number | undefined
  },
): Record<string, string> => ({
  PATH: path,
  AGENT_CERT_FILE: identity.certificateFile,
  AGENT_KEY_FILE: identity.keyFile,
  AUTHORITY_CERT_FILE: services.certificates.certificateFile,
  NODE_ENDPOINTS: more.nodeEndpoints.join(),
  CENTRAL_URL: more.apiUrl,
  MQTT_URL: services.mqtt.url,
  DATA_DIR: more.dataFolder,
  STATE_DIR: more.stateFolder,
  ...(more.inferencePort === undefined ? {} : { INFERENCE_LISTEN: `127.0.0.1:${more.inferencePort}` }),
  LOG_LEVEL: 'info',
})

export const stateFolders = (state: string) => ({
  node: (region: string) => join(state, 'nodes', region),
  device: (label: string) => join(state, 'devices', label),
  data: join(state, 'data'),
  results: join(state, 'results'),
})
