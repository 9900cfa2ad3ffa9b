import * as z from 'zod'
import { Registered } from './fleet.ts'
import { Labels, Slug, Timestamp, Uuid } from './ids.ts'

const kind = z.enum(['trainer', 'evaluator'])

/** `POST /v1/enrolment-codes`: a code with which so many devices may enrol themselves, and what they become. */
export const CreateEnrolmentCode = z.strictObject({
  region: Slug,
  /** Devices that may enrol with it. */
  count: z.int().min(1).max(100_000).default(1),
  expiresAt: z.iso.datetime(),
  kind: kind.default('trainer'),
  groups: z.array(Slug).max(64).default([]),
  labels: Labels.default({}),
  /** Labels of the devices begin with it and a hyphen. */
  labelPrefix: Slug.max(40).optional(),
})
export type CreateEnrolmentCode = z.infer<typeof CreateEnrolmentCode>

/** A code as it is listed; the code itself is known to nobody but its holder. */
export const EnrolmentCodeView = z.object({
  id: Uuid,
  /** First characters of the code, to tell codes apart. */
  hint: z.string(),
  region: Slug,
  kind,
  groups: z.array(z.string()),
  labels: z.record(z.string(), z.string()),
  labelPrefix: z.string().nullable(),
  count: z.int(),
  left: z.int(),
  state: z.enum(['live', 'used-up', 'expired', 'revoked']),
  expiresAt: Timestamp,
  createdAt: Timestamp,
  createdBy: z.string(),
})
export type EnrolmentCodeView = z.infer<typeof EnrolmentCodeView>

/** Answer of the creation. A repetition of the request has `code` null: it is shown once. */
export const EnrolmentCodeCreated = EnrolmentCodeView.extend({ code: z.string().nullable() })
export type EnrolmentCodeCreated = z.infer<typeof EnrolmentCodeCreated>

/** A device that enrolled with a code. */
export const EnrolmentView = z.object({ device: Uuid, label: z.string(), revoked: z.boolean(), enrolledAt: Timestamp })
export type EnrolmentView = z.infer<typeof EnrolmentView>

/** `POST /v1/devices/enrol`, by the device itself: a code and a certificate request (PKCS#10, PEM) of its own key. */
export const EnrolDevice = z.strictObject({
  code: z.string().min(1).max(64),
  csr: z.string().max(8192),
  /** A stable name; behind the code's prefix where it has one. Absent: made from the key. */
  label: Slug.optional(),
})
export type EnrolDevice = z.infer<typeof EnrolDevice>

/** What a device needs to begin. */
export const Enrolled = Registered.extend({
  label: Slug,
  region: Slug,
  kind,
  /** host:port of the region's nodes that are up now. */
  endpoints: z.array(z.string()),
  /** Where devices find the MQTT broker; null where central does not know. */
  mqttUrl: z.string().nullable(),
})
export type Enrolled = z.infer<typeof Enrolled>

/** `POST /v1/devices/{device}/certificate` and `POST /v1/regional-nodes/{node}/certificate`, signed by the certificate that is to be followed. */
export const RenewCertificate = z.strictObject({ csr: z.string().max(8192) })
export type RenewCertificate = z.infer<typeof RenewCertificate>
