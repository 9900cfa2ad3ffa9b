import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  randomBytes,
  randomFillSync,
} from 'node:crypto'
import { LogCorruptError } from './log-corrupt-error.ts'

const logKeyBytes = 32
/** A fresh salt gives a file a key of its own. */
export const saltBytes = 32

const nonceBytes = 12
const tagBytes = 16
/** What sealing adds to a record, bytes. */
export const sealBytes = nonceBytes + tagBytes
const noncesAtOnce = 512

/** AES-256-CTR over a whole file; `iv` is the counter block of its byte 0. */
export type Seal = { readonly key: Uint8Array; readonly iv: Uint8Array }

/** How a file is sealed, and the salt that its key is derived with. */
export type FileKey = { readonly salt: Buffer; readonly seal: Seal }

/** Seals records of one log, and opens them. */
export type RecordSeal = {
  /** @param header bound to the record, not hidden */
  readonly seal: (payload: Uint8Array, header: Uint8Array) => Buffer
  /** @throws LogCorruptError when the record was sealed by another key, or altered */
  readonly open: (sealed: Uint8Array, header: Uint8Array) => Buffer
}

/**
 * The key that came with a shard's lease: everything that the node keeps of the shard is sealed by keys derived from it (HKDF-SHA256,
 * RFC 5869). It is in memory only; central gives it again to whoever still has the lease's epoch.
 */
export class LogKey {
  readonly #key: KeyObject

  /** @throws RangeError when it is not 32 bytes */
  constructor(key: Uint8Array) {
    if (key.byteLength !== logKeyBytes)
      throw new RangeError(`a log key has ${logKeyBytes} bytes, not ${key.byteLength}`)
    this.#key = createSecretKey(key)
  }

  /** @param base64 as the status answer gives it @throws RangeError */
  static parse(base64: string): LogKey {
    return new LogKey(Buffer.from(base64, 'base64'))
  }

  /**
   * Seals records by AES-256-GCM with random nonces. NIST SP 800-38D, 8.3 allows 2^32 of them for a key; a log has one for itself.
   * @param log names the log, the same after a restart
   */
  records(log: string): RecordSeal {
    const key = createSecretKey(this.#derive('', `tributary log ${log}`))
    const nonces = Buffer.alloc(nonceBytes * noncesAtOnce)
    let next = noncesAtOnce
    const freshNonce = (): Buffer => {
      if (next === noncesAtOnce) {
        randomFillSync(nonces)
        next = 0
      }
      next += 1
      return nonces.subarray((next - 1) * nonceBytes, next * nonceBytes)
    }
    return {
      seal: (payload, header) => {
        const nonce = freshNonce()
        const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(header)
        const hidden = cipher.update(payload)
        cipher.final()
        return Buffer.concat([nonce, hidden, cipher.getAuthTag()])
      },
      open: (sealed, header) => {
        if (sealed.byteLength < sealBytes) throw new LogCorruptError('a record of the log is not sealed')
        const end = sealed.byteLength - tagBytes
        const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, nonceBytes), {
          authTagLength: tagBytes,
        })
        decipher.setAAD(header).setAuthTag(sealed.subarray(end))
        try {
          return Buffer.concat([decipher.update(sealed.subarray(nonceBytes, end)), decipher.final()])
        } catch (error) {
          throw new LogCorruptError('a record of the log was sealed by another key', { cause: error })
        }
      },
    }
  }

  /** The seal of a file whose salt no other file has. */
  file(salt: Uint8Array): Seal {
    return { key: this.#derive(salt, 'tributary file'), iv: new Uint8Array(16) }
  }

  /** The key of a new file. */
  freshFile(): FileKey {
    const salt = freshSalt()
    return { salt, seal: this.file(salt) }
  }

  #derive(salt: Uint8Array | string, info: string): Buffer {
    return Buffer.from(hkdfSync('sha256', this.#key, salt, info, 32))
  }
}

export const freshSalt = (): Buffer => randomBytes(saltBytes)

/** Seals or opens bytes of a file from an offset on, which is the same; calls go on front to back. */
export const fileCipher = ({ key, iv }: Seal, offset: number): ((bytes: Uint8Array) => Buffer) => {
  const counter = Buffer.from(iv)
  let carry = Math.floor(offset / 16)
  for (let i = 15; i >= 0 && carry > 0; i -= 1) {
    const sum = (counter[i] as number) + (carry % 256)
    counter[i] = sum & 0xff
    carry = Math.floor(carry / 256) + (sum >> 8)
  }
  // Told bytes, a cipher first looks in vain for a key in them, which takes longer than all else.
  const cipher = createCipheriv('aes-256-ctr', createSecretKey(key), counter)
  const skipped = offset % 16
  if (skipped > 0) cipher.update(new Uint8Array(skipped))
  return bytes => cipher.update(bytes)
}
