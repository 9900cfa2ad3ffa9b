import type { JsonSchema } from '@tributary/contracts/openapi/schemas'
import { type Html, html } from './html.ts'

const refPrefix = '#/components/schemas/'
const longestEnum = 12
const longestPattern = 60

/** Where a named schema stands on the page. */
export const schemaAnchor = (name: string): string => `schema-${name}`

export const refName = (schema: JsonSchema): string | undefined =>
  typeof schema.$ref === 'string' ? schema.$ref.replace(refPrefix, '') : undefined

const listOf = (value: unknown): readonly JsonSchema[] => (Array.isArray(value) ? (value as JsonSchema[]) : [])
const isSchema = (value: unknown): value is JsonSchema => typeof value === 'object' && value !== null

/** The type of a schema in one line, with links to named ones. */
export const typeOf = (schema: JsonSchema): Html => {
  const name = refName(schema)
  if (name !== undefined) return html`<a href="#${schemaAnchor(name)}">${name}</a>`
  if ('const' in schema) return html`<code>${JSON.stringify(schema.const)}</code>`
  if (Array.isArray(schema.enum)) {
    return html`${choice(schema.enum.map(value => html`<code>${JSON.stringify(value)}</code>`))}${standard(schema)}`
  }
  const options = [...listOf(schema.anyOf), ...listOf(schema.oneOf)]
  if (options.length > 0) return choice(options.map(typeOf))
  if (schema.type === 'array' && isSchema(schema.items)) return html`list of ${typeOf(schema.items)}${bounds(schema)}`
  if (schema.type === 'object' && isSchema(schema.additionalProperties) && schema.properties === undefined) {
    return html`map of ${typeOf(schema.additionalProperties)}`
  }
  const type = Array.isArray(schema.type) ? schema.type.join(' or ') : schema.type
  return html`${typeof type === 'string' ? type : 'anything'}${bounds(schema)}`
}

/** Members of an object, in the order of the contract; of a union the members of each option. */
export const fieldsOf = (
  schema: JsonSchema,
  prefix = '',
): readonly { name: string; schema: JsonSchema; required: boolean }[] => {
  const inner = schema.type === 'array' && isSchema(schema.items) ? schema.items : schema
  const path = inner === schema ? prefix : `${prefix}[].`
  const required = new Set(Array.isArray(inner.required) ? (inner.required as string[]) : [])
  const properties = isSchema(inner.properties) ? (inner.properties as Record<string, JsonSchema>) : {}
  return Object.entries(properties).flatMap(([name, member]) => [
    { name: `${path}${name}`, schema: member, required: required.has(name) },
    ...fieldsOf(member, `${path}${name}${member.type === 'array' ? '' : '.'}`),
  ])
}

const choice = (options: readonly Html[]): Html => {
  const shown = options.slice(0, longestEnum)
  const more = options.length > shown.length ? html` and ${options.length - shown.length} more` : null
  return html`${shown.map((option, index) => (index === 0 ? option : html` | ${option}`))}${more}`
}

const ranges = [
  ['minimum', 'maximum', ''],
  ['minLength', 'maxLength', ' characters'],
  ['minItems', 'maxItems', ' items'],
] as const

/** What a value must keep to, where that says more than its type. */
const bounds = (schema: JsonSchema): Html => {
  const told = ranges.flatMap(([low, high, unit]) => {
    const [from, to] = [plain(schema[low]), plain(schema[high])]
    if (from === undefined && to === undefined) return []
    const text = from === undefined ? `at most ${to}` : to === undefined ? `at least ${from}` : `${from} to ${to}`
    return [`${text}${unit}`]
  })
  const [above, below] = [plain(schema.exclusiveMinimum), plain(schema.exclusiveMaximum)]
  if (above !== undefined) told.push(`above ${above}`)
  if (below !== undefined) told.push(`below ${below}`)
  if (typeof schema.format === 'string') told.push(schema.format)
  if (typeof schema.pattern === 'string' && schema.format === undefined && schema.pattern.length <= longestPattern) {
    told.push(schema.pattern)
  }
  const shown = told.length === 0 ? null : html` <small>${told.join(', ')}</small>`
  return html`${shown}${standard(schema)}`
}

const standard = (schema: JsonSchema): Html | null =>
  'default' in schema ? html` <small>default <code>${JSON.stringify(schema.default)}</code></small>` : null

/** The largest safe integer is a limit of the format, not of ours. */
const plain = (value: unknown): number | undefined =>
  typeof value === 'number' && Math.abs(value) !== Number.MAX_SAFE_INTEGER ? value : undefined
