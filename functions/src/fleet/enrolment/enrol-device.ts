import type { EnrolDevice, Enrolled } from '@tributary/contracts/enrolment'
import { TributaryError } from '@tributary/contracts/errors'
import { Slug } from '@tributary/contracts/ids'
import { leaseTimes } from '@tributary/contracts/node-status'
import type { Context } from '../../context.ts'
import type { Sql, Transaction } from '../../database/transaction.ts'
import type { Handler } from '../../http/handler.ts'
import type { BrokerRegistrar } from '../broker-registrar.ts'
import type { CertificateAuthority, IssuedCertificate } from '../certificate-authority.ts'
import { type KeyOfRequest, readKeyOfRequest } from '../certificate-request.ts'
import { insertDevice } from '../insert-device.ts'
import { codeHash, readCode } from './code-text.ts'
import { enrolmentLimiter } from './enrolment-limiter.ts'

export type EnrolmentParts = Pick<Context, 'database' | 'audit' | 'ids' | 'cache' | 'clock'> & {
  readonly authority: CertificateAuthority
  readonly registrar: BrokerRegistrar
  readonly mqttUrl: string | null
}

type Code = {
  id: string
  region: string
  kind: 'trainer' | 'evaluator'
  labels: Record<string, string>
  groups: string[]
  label_prefix: string | null
  uses_left: number
  over: boolean
}
type Device = { id: string; label: string; region: string; kind: 'trainer' | 'evaluator' }
/** With the sha256 of the certificate before, which is good until this one is used. */
type Enrolment = Device & { previous: string | null }

const mostEndpoints = 16
/** An equal request at the same time makes one of the two begin again, once. */
const tries = 3

/**
 * A device enrols itself: whoever has the code gets a certificate for the key of the request. The count of the code, the device and
 * the certificate change in one transaction, so a refusal uses up nothing; the same key again, while the code is not revoked
 * or expired, is the same device with a new certificate, so that neither does a lost answer.
 *
 * Who has not the whole code learns only that it is unknown: the others are told to its holder alone, and the look-up is by hash.
 * @throws TributaryError CODE_MISTYPED, CODE_UNKNOWN, CODE_EXPIRED, CODE_USED_UP, CSR_INVALID, NAME_TAKEN, RATE_LIMITED
 */
export const enrolDevice = (parts: EnrolmentParts): Handler<'enrolDevice'> => {
  const limit = enrolmentLimiter(parts)
  const { database, authority, ids, registrar } = parts
  const enrol = async (body: EnrolDevice, hash: Buffer, key: KeyOfRequest) => {
    for (let left = tries; left > 0; left -= 1) {
      const known = await database.read(sql => knownDevice(sql, hash, key))
      const id = known?.id ?? ids.next()
      const issued = await authority.issue({ kind: 'device', id, publicKey: key.publicKey })
      const device = await database.transaction(async sql => {
        const code = await lockCode(sql, hash)
        if ((await knownDevice(sql, hash, key))?.id !== known?.id) return undefined
        if (known === undefined) return enrolNew(parts, sql, { code, key, body, id, issued })
        return enrolAgain(parts, sql, { code, device: known, issued })
      })
      if (device !== undefined) return { device, issued }
    }
    throw new TributaryError('UNAVAILABLE')
  }
  return async ({ body, sourceAddress }) => {
    await limit(sourceAddress)
    const hash = codeHash(readCode(body.code))
    // Before the request is looked at, which costs more.
    await database.read(async sql =>
      readCodeRow(await sql<Code[]>`select ${codeColumns(sql)} where code_sha256 = ${hash}`),
    )
    const { device, issued } = await enrol(body, hash, await readKeyOfRequest(body.csr))
    await registrar.register({
      kind: 'device',
      id: device.id,
      ...issued,
      previousSha256: device.previous,
    })
    return {
      id: device.id,
      certificate: issued.certificatePem,
      authority: authority.certificatePem,
      expiresAt: issued.expiresAt.toISOString(),
      label: device.label,
      region: device.region,
      kind: device.kind,
      endpoints: await database.read(sql => liveEndpoints(sql, device.region)),
      mqttUrl: parts.mqttUrl,
    } satisfies Enrolled
  }
}

const codeColumns = (sql: Sql) => sql`
  id, region, kind, labels, groups, label_prefix, uses_left, revoked_at is not null or expires_at <= now() as over
  from enrolment_code`

/** @throws TributaryError CODE_UNKNOWN, CODE_EXPIRED */
const readCodeRow = ([row]: readonly Code[]): Code => {
  if (row === undefined) throw new TributaryError('CODE_UNKNOWN')
  if (row.over) throw new TributaryError('CODE_EXPIRED')
  return row
}

/** Devices that enrol with one code take turns, so that none sees a count that another takes. */
const lockCode = async (sql: Transaction, hash: Buffer): Promise<Code> =>
  readCodeRow(await sql<Code[]>`select ${codeColumns(sql)} where code_sha256 = ${hash} for no key update`)

/** The device that enrolled with this code and this key. @throws TributaryError CERTIFICATE_REVOKED */
const knownDevice = async (sql: Sql, hash: Buffer, key: KeyOfRequest): Promise<Device | undefined> => {
  const [row] = await sql<(Device & { revoked: boolean })[]>`
    select d.id, d.label, d.region, d.kind, d.revoked_at is not null as revoked
    from enrolment e join enrolment_code c on c.id = e.code join device d on d.id = e.device
    where c.code_sha256 = ${hash} and e.key_sha256 = ${key.sha256}`
  if (row === undefined) return undefined
  const { revoked, ...device } = row
  // Its key is good no more, whatever code it comes with.
  if (revoked) throw new TributaryError('CERTIFICATE_REVOKED')
  return device
}

const enrolNew = async (
  { audit }: EnrolmentParts,
  sql: Transaction,
  fresh: { code: Code; key: KeyOfRequest; body: EnrolDevice; id: string; issued: IssuedCertificate },
): Promise<Enrolment> => {
  const { code, key, body, id, issued } = fresh
  if (code.uses_left === 0) throw new TributaryError('CODE_USED_UP')
  const label = labelOf(code.label_prefix, body.label, key)
  const { region, kind, groups, labels } = code
  await insertDevice(sql, { id, region, label, kind, groups, labels, issued })
  await sql`update enrolment_code set uses_left = uses_left - 1 where id = ${code.id}`
  await sql`insert into enrolment (code, key_sha256, device) values (${code.id}, ${key.sha256}, ${id})`
  audit.append(sql, {
    actor: `enrolment-code:${code.id}`,
    action: 'device.enrolled',
    subject: `device/${id}`,
    detail: { region, label, kind, groups, labels, certificateSha256: issued.sha256 },
  })
  return { id, label, region, kind, previous: null }
}

const enrolAgain = async (
  { audit }: EnrolmentParts,
  sql: Transaction,
  { code, device, issued }: { code: Code; device: Device; issued: IssuedCertificate },
): Promise<Enrolment> => {
  const [changed] = await sql<{ previous: string }[]>`
    update device set certificate_sha256 = ${issued.sha256}, certificate_expires_at = ${issued.expiresAt},
      previous_certificate_sha256 = certificate_sha256
    where id = ${device.id} and revoked_at is null returning previous_certificate_sha256 as previous`
  if (changed === undefined) throw new TributaryError('CERTIFICATE_REVOKED')
  audit.append(sql, {
    actor: `enrolment-code:${code.id}`,
    action: 'device.enrolled-again',
    subject: `device/${device.id}`,
    detail: { certificateSha256: issued.sha256 },
  })
  return { ...device, previous: changed.previous }
}

/** @throws TributaryError BODY_INVALID where prefix and label together are too long */
const labelOf = (prefix: string | null, wanted: string | undefined, key: KeyOfRequest): string => {
  const own = wanted ?? key.sha256.toString('hex').slice(0, 16)
  const label = prefix === null ? (wanted ?? `device-${own}`) : `${prefix}-${own}`
  if (Slug.safeParse(label).success) return label
  const errors = [{ path: 'label', message: `too long behind the prefix ${prefix} of the code` }]
  throw new TributaryError('BODY_INVALID', { extra: { errors } })
}

const liveEndpoints = async (sql: Sql, region: string): Promise<string[]> => {
  const rows = await sql<{ endpoint: string }[]>`
    select endpoint from regional_node
    where region = ${region} and revoked_at is null and endpoint is not null
      and last_seen_at > now() - make_interval(secs => ${leaseTimes.leaseSeconds})
    order by id limit ${mostEndpoints}`
  return rows.map(({ endpoint }) => endpoint)
}
