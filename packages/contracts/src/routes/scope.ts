import { type ApiFunction, apiFunctions, type Route } from './route.ts'

/** What an API key may be narrowed to: reading or writing of one part of the API. */
export const scopes = apiFunctions.flatMap((part): readonly Scope[] => [`${part}:read`, `${part}:write`])
export type Scope = `${ApiFunction}:${'read' | 'write'}`

/** The scope that a narrowed key needs for a route. */
export const scopeOf = (route: Pick<Route, 'function' | 'method'>): Scope =>
  `${route.function}:${route.method === 'GET' ? 'read' : 'write'}`
