import type { Role } from '@tributary/contracts/routes/route'

/** Who asks. */
export type Principal =
  | { readonly kind: 'anonymous' }
  | { readonly kind: 'token'; readonly name: string; readonly role: Role }
  | {
      readonly kind: 'api-key'
      readonly id: string
      readonly name: string
      readonly role: Role
      /** Null: whatever the role allows. */
      readonly scopes: readonly string[] | null
    }
  | {
      readonly kind: 'regional-node' | 'device'
      readonly id: string
      /** Names and addresses in the certificate that signed the request. */
      readonly hostnames: readonly string[]
    }

/** For the audit trail, `created_by` and the scope of idempotency keys. */
export const principalName = (principal: Principal): string => {
  switch (principal.kind) {
    case 'anonymous':
      return 'anonymous'
    case 'token':
      return `token:${principal.name}`
    default:
      return `${principal.kind}:${principal.id}`
  }
}
