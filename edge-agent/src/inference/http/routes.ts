import { InferenceError } from '../inference-error.ts'

/** What a path asks for. */
export type Route =
  | { readonly kind: 'server' | 'live' | 'ready' | 'metrics' | 'models' }
  | { readonly kind: 'model' | 'model-ready' | 'infer'; readonly name: string; readonly version: string | undefined }

const fixed = new Map<string, Route>([
  ['/v2', { kind: 'server' }],
  ['/v2/health/live', { kind: 'live' }],
  ['/v2/health/ready', { kind: 'ready' }],
  ['/v2/models', { kind: 'models' }],
  ['/metrics', { kind: 'metrics' }],
])

const ofModel = /^\/v2\/models\/([^/]{1,1200})(?:\/versions\/([^/]{1,60}))?(?:\/(ready|infer))?$/

/** Throws InferenceError NOT_FOUND, METHOD_NOT_ALLOWED, MALFORMED. */
export const routeOf = (method: string | undefined, url: string | undefined): Route => {
  const [path = ''] = (url ?? '').split('?')
  const route = fixed.get(path.length > 1 ? path.replace(/\/$/, '') : path) ?? modelRoute(path)
  const wanted = route.kind === 'infer' ? 'POST' : 'GET'
  if (method === wanted) return route
  throw new InferenceError('METHOD_NOT_ALLOWED', `This address takes ${wanted}.`)
}

const modelRoute = (path: string): Route => {
  const found = ofModel.exec(path)
  if (found?.[1] === undefined) {
    throw new InferenceError('NOT_FOUND', 'There is nothing here. Models are below /v2/models, numbers at /metrics.')
  }
  const kind = found[3] === 'infer' ? 'infer' : found[3] === 'ready' ? 'model-ready' : 'model'
  return { kind, name: decode(found[1]), version: found[2] === undefined ? undefined : decode(found[2]) }
}

const decode = (part: string): string => {
  try {
    return decodeURIComponent(part)
  } catch (cause) {
    throw new InferenceError('MALFORMED', 'The path is not percent-encoded UTF-8.', { cause })
  }
}
