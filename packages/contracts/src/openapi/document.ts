import type * as z from 'zod'
import { idempotencyKeyPattern } from '../idempotency-key.ts'
import { Problem } from '../problem.ts'
import { type Access, apiFunctions, type Route } from '../routes/route.ts'
import { scopeOf } from '../routes/scope.ts'
import { routes } from '../routes.ts'
import { type JsonSchema, OpenApiSchemas } from './schemas.ts'

const tagTexts: Readonly<Record<string, string>> = {
  tasks: 'Federated-learning jobs, their rounds, participants and metrics.',
  logs: 'What regional nodes logged, with a live tail.',
  models: 'Models, immutable versions, aliases.',
  fleet: 'Regions, regional nodes, devices, enrolment.',
  'regional-nodes': 'What regional nodes call, signed with the key of their certificate.',
  deployments: 'Releases of a version to devices.',
  platform: 'API keys, audit trail, metrics, this document.',
  health: 'Whether the control plane works.',
}

/** The OpenAPI 3.1 document of the public API, from the route table and nothing else. */
export const openApiDocument = (): JsonSchema => {
  const schemas = new OpenApiSchemas()
  const problem = schemas.of(Problem, 'output')
  const paths: Record<string, Record<string, JsonSchema>> = {}
  for (const [name, route] of Object.entries(routes) as [string, Route][]) {
    const item = paths[route.path] ?? {}
    item[route.method.toLowerCase()] = operationOf(name, route, schemas)
    paths[route.path] = item
  }
  const served = new Set<string>(Object.values(routes).map(route => route.function))
  const tags = apiFunctions.filter(name => served.has(name))
  return {
    openapi: '3.1.0',
    info: {
      title: 'Tributary',
      version: '1',
      description:
        'Control plane of Tributary, a federated-learning platform. Refusals are RFC 9457 problem documents whose `code` is listed in docs/errors.md.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    tags: tags.map(name => ({ name, ...(tagTexts[name] === undefined ? {} : { description: tagTexts[name] }) })),
    paths,
    components: {
      schemas: schemas.components,
      responses: {
        Problem: {
          description: 'Refused. `code` says why.',
          content: { 'application/problem+json': { schema: problem } },
        },
      },
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'API key or session token.' },
        certificate: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description:
            'JWT of at most 60 s over method, path and body hash, signed with the key of the certificate in `x5c`.',
        },
      },
    },
  }
}

const operationOf = (name: string, route: Route, schemas: OpenApiSchemas): JsonSchema => ({
  operationId: name,
  tags: [route.function],
  summary: route.summary,
  description: accessText(route),
  security: securityOf(route.access),
  parameters: [
    ...parametersOf(route.params, 'path', schemas),
    ...parametersOf(route.query, 'query', schemas),
    ...headersOf(route),
  ],
  ...(route.body === undefined
    ? {}
    : {
        requestBody: {
          required: true,
          description: `At most ${route.maxBodyBytes} bytes.`,
          content: { 'application/json': { schema: schemas.of(route.body, 'input') } },
        },
      }),
  responses: responsesOf(route, schemas),
})

const accessText = (route: Route): string => {
  const { access } = route
  if (access.kind === 'public') return 'Open to everybody.'
  if (access.kind === 'role')
    return `Role ${access.atLeast} or above; an API key needs the scope \`${scopeOf(route)}\`.`
  return `Signed by the certificate of the ${access.of} whose id is in the path.`
}

const securityOf = (access: Access): readonly JsonSchema[] => {
  if (access.kind === 'public') return []
  return [access.kind === 'role' ? { token: [] } : { certificate: [] }]
}

const parametersOf = (
  schema: z.ZodObject | undefined,
  where: 'path' | 'query',
  schemas: OpenApiSchemas,
): readonly JsonSchema[] =>
  Object.entries(schema?.shape ?? {}).map(([name, value]) => ({
    name,
    in: where,
    required: where === 'path' || !(value as z.ZodType).safeParse(undefined).success,
    schema: schemas.of(value as z.ZodType, 'output'),
  }))

const headersOf = (route: Route): readonly JsonSchema[] => [
  ...(route.idempotent
    ? [
        {
          name: 'Idempotency-Key',
          in: 'header',
          required: true,
          description:
            'Drawn by the caller. The same key with the same request has one effect and one answer for a day.',
          schema: { type: 'string', pattern: idempotencyKeyPattern.source },
        },
      ]
    : []),
  ...(route.method === 'GET'
    ? [
        {
          name: 'If-None-Match',
          in: 'header',
          required: false,
          description: 'An ETag that was answered before: 304 while nothing changed.',
          schema: { type: 'string' },
        },
      ]
    : []),
]

const responsesOf = (route: Route, schemas: OpenApiSchemas): JsonSchema => ({
  [route.status]: {
    description: route.status === 204 ? 'Done.' : 'The answer.',
    ...(route.method === 'GET' ? { headers: { ETag: { schema: { type: 'string' } } } } : {}),
    ...(route.status === 204 ? {} : { content: contentOf(route, schemas) }),
  },
  ...(route.unavailable === undefined
    ? {}
    : {
        503: {
          description: `The answer, where \`${route.unavailable.member}\` is \`${route.unavailable.value}\`.`,
          content: contentOf(route, schemas),
        },
      }),
  ...(route.method === 'GET' ? { 304: { description: 'Not changed since the ETag that was sent.' } } : {}),
  default: { $ref: '#/components/responses/Problem' },
})

const contentOf = (route: Route, schemas: OpenApiSchemas): JsonSchema => ({
  [route.media ?? 'application/json']: { schema: schemas.of(route.answer, 'output') },
  ...Object.fromEntries(Object.values(route.formats ?? {}).map(media => [media, { schema: { type: 'string' } }])),
})
