import { routes } from '@tributary/contracts/routes'
import type { ApiFunction, Route } from '@tributary/contracts/routes/route'

/** Which function answers a request, and what the HTTP API says about the match. */
export interface RouteMatch {
  readonly function: ApiFunction
  /** `POST /v1/tasks/{task}/cancel`, or `$default` when no route has this method and path. */
  readonly routeKey: string
  readonly pathParameters: Readonly<Record<string, string>> | undefined
}

const table: readonly { route: Route; segments: readonly string[] }[] = Object.values(routes).map(route => ({
  route,
  segments: route.path.split('/'),
}))
const fallback: ApiFunction = 'health'

/**
 * The function of the route with this method and path; else of the route that shares the most leading segments (at least the one
 * after the version), so that the product itself answers 404 and 405.
 */
export function matchRoute(method: string, path: string): RouteMatch {
  const segments = path.split('/')
  for (const { route, segments: template } of table) {
    const pathParameters = method === route.method ? bind(template, segments) : undefined
    if (pathParameters) {
      return {
        function: route.function,
        routeKey: `${route.method} ${route.path}`,
        pathParameters: Object.keys(pathParameters).length > 0 ? pathParameters : undefined,
      }
    }
  }
  let best: { function: ApiFunction; shared: number } = { function: fallback, shared: 2 }
  for (const { route, segments: template } of table) {
    const shared = sharedSegments(template, segments)
    if (shared > best.shared) best = { function: route.function, shared }
  }
  return { function: best.function, routeKey: '$default', pathParameters: undefined }
}

function bind(template: readonly string[], segments: readonly string[]): Record<string, string> | undefined {
  if (template.length !== segments.length) return undefined
  const found: Record<string, string> = {}
  for (const [place, part] of template.entries()) {
    const segment = segments[place] ?? ''
    if (!part.startsWith('{')) {
      if (part !== segment) return undefined
    } else {
      if (segment === '') return undefined
      found[part.slice(1, -1)] = decoded(segment)
    }
  }
  return found
}

function sharedSegments(template: readonly string[], segments: readonly string[]): number {
  const differs = template.findIndex((part, place) => !part.startsWith('{') && part !== segments[place])
  return differs < 0 ? template.length : differs
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}
