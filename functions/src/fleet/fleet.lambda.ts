import { readConfig } from '../config.ts'
import { httpFunction } from '../http/http-function.ts'
import { fileCertificateAuthority } from './certificate-authority.ts'
import { fleetHandlers } from './fleet-handlers.ts'

export const handler = httpFunction('fleet', context =>
  fleetHandlers({
    ...context,
    authority: fileCertificateAuthority(readConfig(['authority', 'authorityKey']), context.clock),
  }),
)
