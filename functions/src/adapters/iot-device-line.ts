import { IoTDataPlaneClient, PublishCommand } from '@aws-sdk/client-iot-data-plane'
import { TributaryError } from '@tributary/contracts/errors'
import type { DeviceLine } from './device-line.ts'

const deadlineMillis = 3000

/** The HTTPS interface of AWS IoT. Endpoint, region and credentials come from the SDK's own environment. */
export class IotDeviceLine implements DeviceLine {
  readonly #client: IoTDataPlaneClient

  constructor(client: IoTDataPlaneClient = new IoTDataPlaneClient({ maxAttempts: 2 })) {
    this.#client = client
  }

  async publish(topic: string, payload: string): Promise<void> {
    try {
      await this.#client.send(new PublishCommand({ topic, qos: 1, payload: Buffer.from(payload) }), {
        abortSignal: AbortSignal.timeout(deadlineMillis),
      })
    } catch (cause) {
      throw new TributaryError('UNAVAILABLE', { detail: 'The message broker did not take the message.', cause })
    }
  }
}
