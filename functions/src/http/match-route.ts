import { TributaryError } from '@tributary/contracts/errors'
import { type RouteName, routes } from '@tributary/contracts/routes'
import type { ApiFunction, Route } from '@tributary/contracts/routes/route'

export type RouteMatch = {
  readonly name: RouteName
  readonly route: Route
  /** Decoded, not yet validated. */
  readonly params: Readonly<Record<string, string>>
}

type Candidate = { readonly name: RouteName; readonly route: Route; readonly segments: readonly string[] }

/**
 * A matcher over the routes of one function; they are few, so a walk is quicker than a tree.
 * @throws TributaryError ROUTE_UNKNOWN, METHOD_NOT_ALLOWED with `allow`, ID_INVALID for broken percent-encoding
 */
export const routeMatcher = (functionName: ApiFunction): ((method: string, path: string) => RouteMatch) => {
  const candidates: Candidate[] = (Object.entries(routes) as [RouteName, Route][])
    .filter(([, route]) => route.function === functionName)
    .map(([name, route]) => ({ name, route, segments: route.path.split('/') }))
  return (method, path) => {
    const segments = path.split('/')
    const fitting = mostSpecific(candidates.filter(candidate => fits(candidate.segments, segments)))
    if (fitting.length === 0) throw new TributaryError('ROUTE_UNKNOWN')
    const found = fitting.find(candidate => candidate.route.method === method)
    if (found === undefined) {
      const allow = fitting.map(candidate => candidate.route.method)
      throw new TributaryError('METHOD_NOT_ALLOWED', { extra: { allow } })
    }
    return { name: found.name, route: found.route, params: paramsOf(found.segments, segments) }
  }
}

/** Of templates that fit, those with the fewest parameters: `/devices/enrol` is no device called enrol. */
const mostSpecific = (fitting: readonly Candidate[]): readonly Candidate[] => {
  const parameters = ({ segments }: Candidate): number => segments.filter(isParameter).length
  const fewest = Math.min(...fitting.map(parameters))
  return fitting.filter(candidate => parameters(candidate) === fewest)
}

const isParameter = (segment: string): boolean => segment.startsWith('{')

const fits = (pattern: readonly string[], segments: readonly string[]): boolean =>
  pattern.length === segments.length &&
  pattern.every((part, index) => (isParameter(part) ? segments[index] !== '' : part === segments[index]))

const paramsOf = (pattern: readonly string[], segments: readonly string[]): Record<string, string> => {
  try {
    return Object.fromEntries(
      pattern.flatMap((part, index) =>
        isParameter(part) ? [[part.slice(1, -1), decodeURIComponent(segments[index] ?? '')]] : [],
      ),
    )
  } catch (cause) {
    throw new TributaryError('ID_INVALID', { cause })
  }
}
