import assert from 'node:assert/strict'
import { test } from 'node:test'
import { routes } from '../routes.ts'
import { openApiDocument } from './document.ts'

type Operation = { readonly operationId: string; readonly parameters: readonly { name: string; in: string }[] }
type Schema = { readonly required: readonly string[] }
type Document = {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: Readonly<Record<'schemas' | 'responses', Readonly<Record<string, Schema>>>>
}

const document = openApiDocument() as unknown as Document

test('every route of the table is an operation under its path and method, and nothing else is', () => {
  const operations = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => [operation.operationId, `${method.toUpperCase()} ${path}`]),
  )
  const table = Object.entries(routes).map(([name, route]) => [name, `${route.method} ${route.path}`])
  assert.deepEqual(operations.toSorted(), table.toSorted())
})

test('every reference leads to a component, and every component is referred to', () => {
  const references = new Set<string>()
  const walk = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return
    for (const [key, member] of Object.entries(value)) {
      if (key === '$ref' && typeof member === 'string') references.add(member)
      else walk(member)
    }
  }
  walk(document)
  const { schemas, responses } = document.components
  const there = [
    ...Object.keys(schemas).map(name => `#/components/schemas/${name}`),
    ...Object.keys(responses).map(name => `#/components/responses/${name}`),
  ]
  assert.deepEqual([...references].toSorted(), there.toSorted())
})

test('a field with a default is required in answers and optional in requests', () => {
  const { schemas } = document.components
  assert.equal(schemas.CreateTaskInput?.required.includes('rounds'), false)
  assert.equal(schemas.TaskView?.required.includes('rounds'), true)
})

test('path parameters are those of the path', () => {
  for (const [path, item] of Object.entries(document.paths)) {
    const wanted = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).toSorted()
    for (const operation of Object.values(item)) {
      const named = operation.parameters.filter(parameter => parameter.in === 'path').map(parameter => parameter.name)
      assert.deepEqual(named.toSorted(), wanted, path)
    }
  }
})
