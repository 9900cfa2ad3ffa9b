import type { RunningService } from '../running-service.ts'

export interface RabbitService extends RunningService {
  /** `amqp://user:password@127.0.0.1:port`, virtual host `/`. */
  readonly url: string
  /** Management API and pages; undefined for a broker elsewhere that has none. */
  readonly managementUrl: string | undefined
  readonly user: string
  readonly password: string
}
