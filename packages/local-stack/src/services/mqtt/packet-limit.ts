import { Transform, type TransformCallback } from 'node:stream'

const maxLengthBytes = 4

/**
 * Passes MQTT packets on and fails before a packet that declares more than `maxPacketBytes`: the parser behind would collect
 * up to 256 MB before anyone could refuse it. Fixed header: type, then the remaining length in 1 to 4 bytes [MQTT-2.2.3].
 */
export function packetLimit(maxPacketBytes: number): Transform {
  let inHeader = false
  let lengthBytes = 0
  let remaining = 0
  return new Transform({
    transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback) {
      for (let at = 0; at < chunk.length; ) {
        if (!inHeader) {
          const skip = Math.min(remaining, chunk.length - at)
          remaining -= skip
          at += skip
          if (remaining > 0 || at >= chunk.length) break
          inHeader = true
          lengthBytes = 0
          at += 1
          continue
        }
        const byte = chunk[at++] ?? 0
        remaining += (byte & 0x7f) * 128 ** lengthBytes
        lengthBytes += 1
        if ((byte & 0x80) !== 0 && lengthBytes < maxLengthBytes) continue
        inHeader = false
        if ((byte & 0x80) !== 0) return done(new Error('malformed remaining length'))
        if (remaining > maxPacketBytes)
          return done(new Error(`a packet of ${remaining} bytes is over the limit of ${maxPacketBytes}`))
      }
      done(null, chunk)
    },
  })
}
