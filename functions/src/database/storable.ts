/**
 * Text from outside as Postgres can keep it: neither text nor jsonb takes U+0000 or half a surrogate pair. Works through
 * arrays and objects.
 */
export const storable = <T>(value: T): T => {
  if (typeof value === 'string') return value.toWellFormed().replaceAll('\0', '\uFFFD') as T
  if (Array.isArray(value)) return value.map(storable) as T
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [storable(name), storable(member)])) as T
}
