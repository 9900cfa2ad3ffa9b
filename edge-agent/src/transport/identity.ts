import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { Uuid } from '@tributary/contracts/ids'
import { certificateKinds } from '@tributary/contracts/signed-request'
import type { IdentityFiles } from '../config.ts'

/** What proves the device to gRPC and MQTT, in PEM, and whom it trusts. */
export type Identity = {
  /** Common name of the certificate: the id in topics, and what nodes know the device by. */
  readonly device: string
  readonly certificate: Buffer
  readonly key: Buffer
  readonly authority: Buffer
}

/** The identity files do not fit together, or are not a device's. */
export class IdentityError extends Error {
  override readonly name = 'IdentityError'
}

/** Reads and checks the three files. Throws IdentityError that says which file is wrong and what to do. */
export const readIdentity = async (files: IdentityFiles): Promise<Identity> => {
  const [certificate, key, authority] = await Promise.all([
    read(files.certificateFile),
    read(files.keyFile),
    read(files.authorityFile),
  ])
  const leaf = parse(files.certificateFile, () => new X509Certificate(certificate))
  parse(files.authorityFile, () => new X509Certificate(authority))
  const privateKey = parse(files.keyFile, () => createPrivateKey(key))
  if (!leaf.checkPrivateKey(privateKey)) {
    throw new IdentityError(
      `${files.keyFile} is not the key of ${files.certificateFile}. Give the pair that belongs together.`,
    )
  }
  const subject = subjectOf(leaf)
  const device = subject.get('CN') ?? ''
  if (subject.get('OU') !== certificateKinds.device || !Uuid.safeParse(device).success) {
    throw new IdentityError(
      `${files.certificateFile} is not a device's certificate (${leaf.subject.replaceAll('\n', ', ')}). Register the device and use its certificate.`,
    )
  }
  return { device, certificate, key, authority }
}

const subjectOf = (certificate: X509Certificate): Map<string, string> =>
  new Map(
    certificate.subject.split('\n').map(line => {
      const equals = line.indexOf('=')
      return [line.slice(0, equals), line.slice(equals + 1)] as const
    }),
  )

const read = async (file: string): Promise<Buffer> => {
  try {
    return await readFile(file)
  } catch (cause) {
    throw new IdentityError(`${file} cannot be read. Check the path and who may read it.`, { cause })
  }
}

const parse = <Value>(file: string, parser: () => Value): Value => {
  try {
    return parser()
  } catch (cause) {
    throw new IdentityError(`${file} does not hold what it should in PEM.`, { cause })
  }
}
