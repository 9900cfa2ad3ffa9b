import { routes } from '@tributary/contracts/routes'
import type { ApiFunction, Route } from '@tributary/contracts/routes/route'

/** Whether a function has a route for nodes or devices; the others do not even look at signatures. */
export const servesCertificates = (functionName: ApiFunction): boolean =>
  (Object.values(routes) as Route[]).some(
    route => route.function === functionName && route.access.kind === 'certificate',
  )
