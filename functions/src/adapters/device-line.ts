/** Messages to devices over MQTT, by whoever has no session with the broker. */
export type DeviceLine = {
  /**
   * Publishes with QoS 1. Whether anybody listens, the broker does not say.
   * @throws TributaryError UNAVAILABLE where the broker did not confirm in time
   */
  publish(topic: string, payload: string): Promise<void>
}
