import type { RunningService } from '../running-service.ts'

export interface RedisService extends RunningService {
  /** `redis://:password@127.0.0.1:port` */
  readonly url: string
}
