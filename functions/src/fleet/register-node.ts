import { TributaryError } from '@tributary/contracts/errors'
import type { Context } from '../context.ts'
import type { PreparedHandler } from '../http/handler.ts'
import type { BrokerRegistrar } from './broker-registrar.ts'
import type { CertificateAuthority, IssuedCertificate } from './certificate-authority.ts'
import { readCertificateRequest } from './certificate-request.ts'
import { checkHostnames } from './hostnames.ts'

type Parts = Pick<Context, 'audit' | 'ids'> & {
  readonly authority: CertificateAuthority
  readonly registrar: BrokerRegistrar
}

export const registerNode = ({
  audit,
  ids,
  authority,
  registrar,
}: Parts): PreparedHandler<'registerNode', { id: string; issued: IssuedCertificate }> => ({
  async prepare({ body: { csr, hostnames } }) {
    checkHostnames(hostnames)
    const id = ids.next()
    const publicKey = await readCertificateRequest(csr)
    return { id, issued: await authority.issue({ kind: 'regional-node', id, publicKey, hostnames }) }
  },
  async apply({ body: { region, name, hostnames }, actor }, sql, { id, issued }) {
    const [known] = await sql`select 1 from region where region = ${region}`
    if (known === undefined) throw new TributaryError('REGION_UNKNOWN')
    const created = await sql`
      insert into regional_node (id, region, name, certificate_sha256, certificate_expires_at, hostnames)
      values (${id}, ${region}, ${name}, ${issued.sha256}, ${issued.expiresAt}, ${hostnames})
      on conflict (region, name) where revoked_at is null do nothing`
    if (created.count === 0) throw new TributaryError('NAME_TAKEN', { detail: `region ${region} has a node ${name}` })
    sql.afterCommit(`registrar:${id}`, () => registrar.register({ kind: 'regional-node', id, ...issued }))
    audit.append(sql, {
      actor,
      action: 'regional-node.registered',
      subject: `regional-node/${id}`,
      detail: { region, name, certificateSha256: issued.sha256 },
    })
    return {
      id,
      certificate: issued.certificatePem,
      authority: authority.certificatePem,
      expiresAt: issued.expiresAt.toISOString(),
    }
  },
})
