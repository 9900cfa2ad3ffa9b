import { createHash } from 'node:crypto'
import { TributaryError } from '@tributary/contracts/errors'
import { asJson, type Transaction } from '../database/transaction.ts'
import type { IssuedCertificate } from './certificate-authority.ts'

export type NewDevice = {
  readonly id: string
  readonly region: string
  readonly label: string
  readonly kind: 'trainer' | 'evaluator'
  readonly groups: readonly string[]
  readonly labels: Readonly<Record<string, string>>
  readonly issued: IssuedCertificate
}

/** @throws TributaryError NAME_TAKEN while another device that is not revoked has the label */
export const insertDevice = async (sql: Transaction, device: NewDevice): Promise<void> => {
  const { id, region, label, kind, issued } = device
  const shardHash = createHash('sha256').update(id).digest()
  const created = await sql`
    insert into device (id, region, shard_hash, label, kind, groups, labels, certificate_sha256, certificate_expires_at)
    values (${id}, ${region}, ${shardHash}, ${label}, ${kind}, ${[...new Set(device.groups)]},
      ${sql.json(asJson(device.labels))}, ${issued.sha256}, ${issued.expiresAt})
    on conflict (label) where revoked_at is null do nothing`
  if (created.count === 0) throw new TributaryError('NAME_TAKEN', { detail: `a device is labelled ${label}` })
}
