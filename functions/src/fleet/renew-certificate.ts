import { TributaryError } from '@tributary/contracts/errors'
import type { Registered } from '@tributary/contracts/fleet'
import type { Context } from '../context.ts'
import type { Handler } from '../http/handler.ts'
import type { BrokerRegistrar } from './broker-registrar.ts'
import type { CertificateAuthority, IssuedCertificate } from './certificate-authority.ts'
import { readCertificateRequest } from './certificate-request.ts'

/*
 * A renewal is signed by a certificate that is good. The new one is in force at once, and the one before stays good until the new
 * one is used (a signed request, or a check-in that a node reports) or its own time is over: an answer that is lost locks nobody
 * out, since the holder asks again with what it has. So at most two certificates of a holder are good at a time.
 */

type Parts = Pick<Context, 'database' | 'audit'> & {
  readonly authority: CertificateAuthority
  readonly registrar: BrokerRegistrar
}

/** @throws TributaryError CSR_INVALID, CERTIFICATE_REVOKED, UNAVAILABLE while the broker cannot be told */
export const renewDeviceCertificate =
  ({ database, audit, authority, registrar }: Parts): Handler<'renewDeviceCertificate'> =>
  async ({ params: { device: id }, body, actor }) => {
    const issued = await authority.issue({ kind: 'device', id, publicKey: await readCertificateRequest(body.csr) })
    const previousSha256 = await database.transaction(async sql => {
      // Signed by the one before, it is that one which stays: the newer never reached its holder.
      const [renewed] = await sql<{ previous: string }[]>`
        update device set certificate_sha256 = ${issued.sha256}, certificate_expires_at = ${issued.expiresAt},
          previous_certificate_sha256 = coalesce(previous_certificate_sha256, certificate_sha256)
        where id = ${id} and revoked_at is null returning previous_certificate_sha256 as previous`
      if (renewed === undefined) throw new TributaryError('CERTIFICATE_REVOKED')
      const detail = { certificateSha256: issued.sha256, expiresAt: issued.expiresAt.toISOString() }
      audit.append(sql, { actor, action: 'device.certificate-renewed', subject: `device/${id}`, detail })
      return renewed.previous
    })
    await registrar.register({ kind: 'device', id, ...issued, previousSha256 })
    return registered(id, issued, authority)
  }

/**
 * The names of the server certificate are those of the registration: a node cannot give itself the name of another.
 * For a node that was registered before they were kept, they are those of its certificate, which the authority wrote by them.
 * @throws TributaryError CSR_INVALID, CERTIFICATE_REVOKED, UNAVAILABLE while the broker cannot be told, STATE_CONFLICT for a node of before without names
 */
export const renewNodeCertificate =
  ({ database, audit, authority, registrar }: Parts): Handler<'renewNodeCertificate'> =>
  async ({ params: { node: id }, body, actor, principal }) => {
    const publicKey = await readCertificateRequest(body.csr)
    const [row] = await database.read(
      sql => sql<{ hostnames: string[] | null }[]>`select hostnames from regional_node where id = ${id}`,
    )
    if (row === undefined) throw new TributaryError('NOT_FOUND')
    const hostnames = row.hostnames ?? (principal.kind === 'regional-node' ? [...principal.hostnames] : [])
    if (hostnames.length === 0) {
      throw new TributaryError('STATE_CONFLICT', {
        detail: "Neither this node's registration nor its certificate names a host. Revoke it and register it again.",
      })
    }
    const issued = await authority.issue({ kind: 'regional-node', id, publicKey, hostnames })
    const previousSha256 = await database.transaction(async sql => {
      const [renewed] = await sql<{ previous: string }[]>`
        update regional_node set certificate_sha256 = ${issued.sha256}, certificate_expires_at = ${issued.expiresAt},
          hostnames = ${hostnames}::text[], previous_certificate_sha256 = coalesce(previous_certificate_sha256, certificate_sha256)
        where id = ${id} and revoked_at is null returning previous_certificate_sha256 as previous`
      if (renewed === undefined) throw new TributaryError('CERTIFICATE_REVOKED')
      const detail = { certificateSha256: issued.sha256, expiresAt: issued.expiresAt.toISOString() }
      audit.append(sql, { actor, action: 'regional-node.certificate-renewed', subject: `regional-node/${id}`, detail })
      return renewed.previous
    })
    await registrar.register({ kind: 'regional-node', id, ...issued, previousSha256 })
    return registered(id, issued, authority)
  }

const registered = (id: string, issued: IssuedCertificate, authority: CertificateAuthority): Registered => ({
  id,
  certificate: issued.certificatePem,
  authority: authority.certificatePem,
  expiresAt: issued.expiresAt.toISOString(),
})
