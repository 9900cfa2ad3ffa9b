import { createServer } from 'node:http'
import { aborted, endWithParent } from '../../processes/end-with-parent.ts'
import { readConfig } from './config.ts'
import { handleRequest } from './handle-request.ts'
import { RedisConnection } from './redis-connection.ts'

const signal = endWithParent()
const config = readConfig()
using redis = new RedisConnection(config.UPSTASH_REST_REDIS_URL)
await redis.ready(AbortSignal.any([signal, AbortSignal.timeout(15_000)]))
const server = createServer({ requestTimeout: 30_000, headersTimeout: 10_000 }, (request, response) => {
  void handleRequest(request, response, redis, config.UPSTASH_REST_TOKEN)
})
server.maxConnections = 1000
server.listen(config.UPSTASH_REST_PORT, config.UPSTASH_REST_HOST, () => console.log('listening'))
await aborted(signal)
server.closeAllConnections()
server.close()
