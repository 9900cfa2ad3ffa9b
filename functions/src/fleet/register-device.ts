import { TributaryError } from '@tributary/contracts/errors'
import type { Context } from '../context.ts'
import type { PreparedHandler } from '../http/handler.ts'
import type { BrokerRegistrar } from './broker-registrar.ts'
import type { CertificateAuthority, IssuedCertificate } from './certificate-authority.ts'
import { readCertificateRequest } from './certificate-request.ts'
import { insertDevice } from './insert-device.ts'

type Parts = Pick<Context, 'audit' | 'ids'> & {
  readonly authority: CertificateAuthority
  readonly registrar: BrokerRegistrar
}

export const registerDevice = ({
  audit,
  ids,
  authority,
  registrar,
}: Parts): PreparedHandler<'registerDevice', { id: string; issued: IssuedCertificate }> => ({
  async prepare({ body: { csr } }) {
    const id = ids.next()
    const publicKey = await readCertificateRequest(csr)
    return { id, issued: await authority.issue({ kind: 'device', id, publicKey }) }
  },
  async apply({ body: { region, label, kind, groups, labels }, actor }, sql, { id, issued }) {
    const [known] = await sql`select 1 from region where region = ${region}`
    if (known === undefined) throw new TributaryError('REGION_UNKNOWN')
    await insertDevice(sql, { id, region, label, kind, groups, labels, issued })
    const { certificatePem, sha256 } = issued
    sql.afterCommit(`registrar:${id}`, () => registrar.register({ kind: 'device', id, certificatePem, sha256 }))
    audit.append(sql, {
      actor,
      action: 'device.registered',
      subject: `device/${id}`,
      detail: { region, label, kind, groups, labels, certificateSha256: issued.sha256 },
    })
    return {
      id,
      certificate: issued.certificatePem,
      authority: authority.certificatePem,
      expiresAt: issued.expiresAt.toISOString(),
    }
  },
})
