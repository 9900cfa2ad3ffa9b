import { createPrivateKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto'
import { mkdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { renameDurably, writeAtomically } from '../../../state/atomic-file.ts'

/** Names of the files in STATE_DIR/identity. */
export const identityFiles = { key: 'key.pem', certificate: 'certificate.pem', authority: 'authority.pem' } as const

/**
 * An identity in the making, in a folder beside the one in use: its key stays there until enrolment is done, so that one that
 * was cut is repeated with the same key, which central takes for the same device. The folder then takes the place of the other
 * as a whole: no crash parts a certificate from its key.
 */
export class NewIdentity {
  readonly key: KeyObject
  readonly #folder: string
  readonly #next: string

  private constructor(folder: string, next: string, key: KeyObject) {
    this.#folder = folder
    this.#next = next
    this.key = key
  }

  /** Makes the key (EC P-256, mode 0600), or finds the one of an enrolment that was cut. */
  static async begin(stateDir: string): Promise<NewIdentity> {
    const folder = join(stateDir, 'identity')
    const next = `${folder}.next`
    await mkdir(next, { recursive: true, mode: 0o700 })
    const file = join(next, identityFiles.key)
    const kept = await readKey(file)
    if (kept !== undefined) return new NewIdentity(folder, next, kept)
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    await writeAtomically(file, privateKey.export({ type: 'pkcs8', format: 'pem' }))
    return new NewIdentity(folder, next, privateKey)
  }

  /** Puts the identity in service, in place of one that is there. @returns where its files are */
  async finish(certificate: string, authority: string): Promise<string> {
    await writeAtomically(join(this.#next, identityFiles.certificate), certificate)
    await writeAtomically(join(this.#next, identityFiles.authority), authority)
    const before = `${this.#folder}.before`
    await rm(before, { recursive: true, force: true })
    if (await exists(this.#folder)) await rename(this.#folder, before)
    await renameDurably(this.#next, this.#folder)
    await rm(before, { recursive: true, force: true })
    return this.#folder
  }
}

/** Whom the identity in the state folder is for, as its subject says; undefined where there is none. */
export const enrolledSubject = async (stateDir: string): Promise<string | undefined> => {
  const folder = join(stateDir, 'identity')
  if (!(await exists(join(folder, identityFiles.key)))) return undefined
  try {
    return new X509Certificate(await readFile(join(folder, identityFiles.certificate))).subject.replaceAll('\n', ', ')
  } catch {
    return 'a certificate that cannot be read'
  }
}

const readKey = async (file: string): Promise<KeyObject | undefined> => {
  try {
    const key = createPrivateKey(await readFile(file))
    return key.asymmetricKeyDetails?.namedCurve === 'prime256v1' ? key : undefined
  } catch {
    return undefined
  }
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )
