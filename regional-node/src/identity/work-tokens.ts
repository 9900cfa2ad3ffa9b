import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto'
import { chmod, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { WorkToken } from '@tributary/contracts/work-token'
import { ignoreMissing, writeWhole } from '../log/durable-files.ts'
import { HmacJws } from './compact-jws.ts'

const keyBytes = 32
const tokenType = 'tributary-work+jwt'
const longestToken = 4096

/** The key of the work tokens: made at the first start and kept, so that tokens outlive a restart of the node. */
export const loadTokenKey = async (dataDir: string): Promise<KeyObject> => {
  const path = join(dataDir, 'token.key')
  let bytes: Buffer | undefined
  try {
    bytes = await readFile(path)
  } catch (error) {
    ignoreMissing(error)
  }
  if (bytes === undefined) {
    bytes = randomBytes(keyBytes)
    await writeWhole(path, bytes, 0o600)
  }
  if (bytes.byteLength !== keyBytes) throw new Error(`${path} is not a key of ${keyBytes} bytes: remove it`)
  await chmod(path, 0o600)
  return createSecretKey(bytes)
}

/** Mints and checks work tokens: compact JWS, HS256. */
export class WorkTokens {
  readonly #jws: HmacJws
  readonly #now: () => number

  constructor(key: KeyObject, now: () => number) {
    this.#jws = new HmacJws(key, tokenType)
    this.#now = now
  }

  async mint(token: WorkToken): Promise<string> {
    return this.#jws.sign(token)
  }

  /** The token's claims, or null when it is not ours, malformed or expired. */
  async read(token: string): Promise<WorkToken | null> {
    if (token.length > longestToken) return null
    const claims = WorkToken.safeParse(this.#jws.verify(token))
    return claims.success && claims.data.exp > Math.floor(this.#now() / 1000) ? claims.data : null
  }
}
