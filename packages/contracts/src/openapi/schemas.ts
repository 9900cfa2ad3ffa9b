import * as z from 'zod'
import * as apiKeys from '../api-keys.ts'
import * as audit from '../audit.ts'
import * as deployments from '../deployments.ts'
import * as fleet from '../fleet.ts'
import * as ids from '../ids.ts'
import * as models from '../models.ts'
import * as nodeStatus from '../node-status.ts'
import { Problem } from '../problem.ts'
import * as round from '../round.ts'
import { ServerOptimizer } from '../server-optimizer.ts'
import { StopConditions } from '../stop-conditions.ts'
import * as taskViews from '../task-views.ts'
import * as tasks from '../tasks.ts'

export type JsonSchema = { readonly [keyword: string]: unknown }

const definitions = new Map<string, z.ZodType>()
const named = z.registry<{ id: string }>()
for (const module of [
  ids,
  round,
  { ServerOptimizer, StopConditions },
  tasks,
  taskViews,
  models,
  fleet,
  deployments,
  nodeStatus,
  apiKeys,
  audit,
  { Problem },
]) {
  for (const [id, value] of Object.entries(module)) {
    if (!(value instanceof z.ZodType) || named.has(value)) continue
    named.add(value, { id })
    definitions.set(id, value)
  }
}

const bare = (schema: z.ZodType, io: 'input' | 'output'): string =>
  JSON.stringify(z.toJSONSchema(schema, { metadata: z.registry<object>(), io, unrepresentable: 'any' }))
/** Names of schemas that read otherwise when they are sent than when they are answered. */
const twofold = new Set(
  [...definitions].filter(([, schema]) => bare(schema, 'input') !== bare(schema, 'output')).map(([id]) => id),
)

/**
 * JSON Schemas (2020-12) of an OpenAPI document. What a caller sends and what it gets differ where a field has a default, so
 * a schema of the contracts has two forms: `TaskView` as it is answered, `TaskViewInput` as it is taken.
 */
export class OpenApiSchemas {
  readonly #components = new Map<string, JsonSchema>()

  /** The schema with references to `components.schemas`. */
  of(schema: z.ZodType, io: 'input' | 'output'): JsonSchema {
    const { $schema, $defs, ...root } = z.toJSONSchema(schema, { metadata: named, io, unrepresentable: 'any' })
    for (const [id, definition] of Object.entries($defs ?? {})) this.#add(id, io, definition)
    const { id, ...whole } = root as JsonSchema
    if (typeof id !== 'string') return this.#linked(whole, io) as JsonSchema
    this.#add(id, io, whole)
    return { $ref: reference(id, io) }
  }

  /** All that were referred to so far, by name. */
  get components(): Readonly<Record<string, JsonSchema>> {
    return Object.fromEntries([...this.#components].toSorted(([left], [right]) => (left < right ? -1 : 1)))
  }

  #add(name: string, io: 'input' | 'output', definition: unknown): void {
    const { id, ...schema } = definition as JsonSchema
    this.#components.set(componentName(name, io), this.#linked(schema, io) as JsonSchema)
  }

  #linked(value: unknown, io: 'input' | 'output'): unknown {
    if (Array.isArray(value)) return value.map(item => this.#linked(item, io))
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(
      Object.entries(value).map(([key, member]) => [
        key,
        key === '$ref' && typeof member === 'string'
          ? reference(member.replace('#/$defs/', ''), io)
          : this.#linked(member, io),
      ]),
    )
  }
}

const componentName = (id: string, io: 'input' | 'output'): string =>
  io === 'input' && twofold.has(id) ? `${id}Input` : id
const reference = (id: string, io: 'input' | 'output'): string => `#/components/schemas/${componentName(id, io)}`
