/** What the supervisor is told while services come up. */
export type ServiceReport =
  | { readonly kind: 'started'; readonly service: string; readonly seconds: number; readonly detail: string }
  | { readonly kind: 'download'; readonly service: string; readonly bytes: number; readonly what: string }
  | { readonly kind: 'note'; readonly service: string; readonly message: string }
  | { readonly kind: 'ended'; readonly service: string; readonly message: string }

export type Report = (report: ServiceReport) => void
