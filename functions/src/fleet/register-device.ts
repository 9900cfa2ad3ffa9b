import { createHash } from 'node:crypto'
import { TributaryError } from '@tributary/contracts/errors'
import type { Context } from '../context.ts'
import type { PreparedHandler } from '../http/handler.ts'
import type { CertificateAuthority, IssuedCertificate } from './certificate-authority.ts'
import { readCertificateRequest } from './certificate-request.ts'

type Parts = Pick<Context, 'audit' | 'ids'> & { readonly authority: CertificateAuthority }

export const registerDevice = ({
  audit,
  ids,
  authority,
}: Parts): PreparedHandler<'registerDevice', { id: string; issued: IssuedCertificate }> => ({
  async prepare({ body: { csr } }) {
    const id = ids.next()
    const publicKey = await readCertificateRequest(csr)
    return { id, issued: await authority.issue({ kind: 'device', id, publicKey }) }
  },
  async apply({ body: { region, label, kind, groups }, actor }, sql, { id, issued }) {
    const [known] = await sql`select 1 from region where region = ${region}`
    if (known === undefined) throw new TributaryError('REGION_UNKNOWN')
    const shardHash = createHash('sha256').update(id).digest()
    const created = await sql`
      insert into device (id, region, shard_hash, label, kind, groups, certificate_sha256, certificate_expires_at)
      values (${id}, ${region}, ${shardHash}, ${label}, ${kind}, ${[...new Set(groups)]}, ${issued.sha256}, ${issued.expiresAt})
      on conflict (label) where revoked_at is null do nothing`
    if (created.count === 0) throw new TributaryError('NAME_TAKEN', { detail: `a device is labelled ${label}` })
    audit.append(sql, {
      actor,
      action: 'device.registered',
      subject: `device/${id}`,
      detail: { region, label, kind, groups, certificateSha256: issued.sha256 },
    })
    return {
      id,
      certificate: issued.certificatePem,
      authority: authority.certificatePem,
      expiresAt: issued.expiresAt.toISOString(),
    }
  },
})
