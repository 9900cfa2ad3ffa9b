import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ignoreMissing, writeWhole } from '../log/durable-files.ts'
import { followingIdentity, type NodeIdentity, readIdentity, UnfitCertificateError } from './node-identity.ts'

/*
 * NODE_CERT_FILE often lies on a mount that a container cannot write. So what follows it is kept in DATA_DIR, and the one that
 * was issued last is used. Whoever registers the node anew brings another key, which no kept certificate fits.
 */

const keptFile = (dataDir: string): string => join(dataDir, 'certificate.pem')

/** Makes a certificate the one that the next start begins with. */
export const keepCertificate = (dataDir: string, pem: string): Promise<void> => writeWhole(keptFile(dataDir), pem)

/** @throws Error that says what is wrong with NODE_CERT_FILE or NODE_KEY_FILE */
export const latestIdentity = async (given: NodeIdentity['pem'], dataDir: string): Promise<NodeIdentity> => {
  const identity = readIdentity(given)
  try {
    const kept = followingIdentity(identity, await readFile(keptFile(dataDir), 'utf8'))
    return kept.certificate.validFromDate > identity.certificate.validFromDate ? kept : identity
  } catch (error) {
    if (!(error instanceof UnfitCertificateError)) ignoreMissing(error)
    return identity
  }
}
