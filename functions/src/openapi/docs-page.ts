import type { JsonSchema } from '@tributary/contracts/openapi/schemas'
import { fieldsOf, refName, schemaAnchor, typeOf } from './describe-schema.ts'
import { docsStyle } from './docs-style.ts'
import { Html, html } from './html.ts'

type Parameter = { name: string; in: string; required: boolean; description?: string; schema: JsonSchema }
type Content = Readonly<Record<string, { readonly schema: JsonSchema }>>
type Operation = {
  operationId: string
  tags: readonly string[]
  summary: string
  description: string
  parameters: readonly Parameter[]
  requestBody?: { description: string; content: Content }
  responses: Readonly<Record<string, { $ref?: string; description?: string; content?: Content }>>
}
type Document = {
  info: { title: string; description: string }
  tags: readonly { name: string; description?: string }[]
  paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  components: { schemas: Readonly<Record<string, JsonSchema>> }
}
type Placed = Operation & { method: string; path: string }

/** The document as a page: grouped by tag, with an anchor for every operation and every named schema. */
export const docsPage = (openApi: JsonSchema): string => {
  const document = openApi as unknown as Document
  const { info, tags, paths, components } = document
  const operations = Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]): Placed => ({ ...operation, method, path })),
  )
  const groups = tags.map(tag => ({ ...tag, operations: operations.filter(({ tags: [first] }) => first === tag.name) }))
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${info.title} API</title>
<style>${new Html(docsStyle)}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the operations</a>
<div class="frame">
<nav id="operations" aria-label="Operations">
${groups.map(
  group => html`<h2><a href="#tag-${group.name}">${group.name}</a></h2><ul>
${group.operations.map(navItem)}</ul>`,
)}
<h2><a href="#schemas">Schemas</a></h2>
</nav>
<main id="content">
<h1>${info.title} API</h1>
<p class="lead">${withCode(info.description)} This page is made from the <a href="openapi.json">OpenAPI 3.1 document</a>.</p>
<p class="lead">Every GET answers an <code>ETag</code>, and 304 where <code>If-None-Match</code> names it.</p>
<p class="jump"><a href="#operations">List of all operations</a></p>
${groups.map(
  group => html`<section id="tag-${group.name}"><h2>${group.name}</h2>
<p class="lead">${group.description ?? ''}</p>
${group.operations.map(operation => operationArticle(operation, components.schemas))}</section>`,
)}
<section id="schemas"><h2>Schemas</h2>
${Object.entries(components.schemas).map(([name, schema]) => schemaArticle(name, schema))}</section>
</main>
</div>
</body>
</html>
`
  return page.text
}

const navItem = ({ operationId, method, path, summary }: Placed): Html =>
  html`<li><a href="#${operationId}" title="${summary}"><span class="method ${method}">${method.toUpperCase()}</span><span class="path">${breakable(path.replace('/v1', ''))}</span></a></li>`

const operationArticle = (operation: Placed, schemas: Document['components']['schemas']): Html => {
  const { operationId, method, path, summary, description, requestBody } = operation
  // Said once, at the top.
  const parameters = operation.parameters.filter(({ name }) => name !== 'If-None-Match')
  const responses = Object.entries(operation.responses).filter(([status]) => status !== '304')
  return html`<article id="${operationId}">
<h3><span class="method ${method}">${method.toUpperCase()}</span><a class="path" href="#${operationId}">${breakable(path)}</a></h3>
<p class="summary">${withCode(summary)}</p>
<p class="access">${withCode(description)}</p>
${parameters.length === 0 ? null : html`<h4>Parameters</h4>${table(parameters.map(parameterRow))}`}
${
  requestBody === undefined
    ? null
    : html`<h4>Body</h4><small>${requestBody.description}</small>${contentOf(requestBody.content, schemas)}`
}
<h4>Answers</h4>
${table(
  responses.map(([status, response]) => ({
    name: html`<code>${status === 'default' ? 'else' : status}</code>`,
    text:
      response.$ref === undefined
        ? html`${response.description ?? ''}${response.content === undefined ? null : contentOf(response.content, schemas)}`
        : html`Refused, as <a href="#${schemaAnchor('Problem')}">Problem</a>.`,
  })),
)}
</article>`
}

const parameterRow = ({ name, in: where, required, description, schema }: Parameter) => ({
  name: html`<code>${name}</code> <small>${where}</small>${requiredMark(required)}`,
  text: html`${typeOf(schema)}${description === undefined ? null : html`<br><small>${description}</small>`}`,
})

const contentOf = (content: Content, schemas: Document['components']['schemas']): Html =>
  html`${Object.entries(content).map(([media, { schema }]) => {
    const name = refName(schema)
    const fields = fieldsOf(name === undefined ? schema : (schemas[name] ?? {}))
    return html`<div><code>${media}</code> ${typeOf(schema)}${
      fields.length === 0
        ? null
        : html`<details><summary>${fields.length === 1 ? '1 field' : `${fields.length} fields`}</summary>${fieldTable(fields)}</details>`
    }</div>`
  })}`

const schemaArticle = (name: string, schema: JsonSchema): Html => {
  const fields = fieldsOf(schema)
  return html`<article id="${schemaAnchor(name)}">
<h3><a class="path" href="#${schemaAnchor(name)}">${name}</a></h3>
${fields.length === 0 ? html`<p class="summary">${typeOf(schema)}</p>` : fieldTable(fields)}
</article>`
}

const fieldTable = (fields: ReturnType<typeof fieldsOf>): Html =>
  table(
    fields.map(({ name, schema, required }) => ({
      name: html`<code>${name}</code>${requiredMark(required)}`,
      text: html`${typeOf(schema)}${typeof schema.description === 'string' ? html`<br><small>${schema.description}</small>` : null}`,
    })),
  )

const requiredMark = (required: boolean): Html | null =>
  required ? html` <span class="required">required</span>` : null

const table = (rows: readonly { readonly name: Html; readonly text: Html }[]): Html =>
  html`<table>${rows.map(({ name, text }) => html`<tr><td>${name}</td><td>${text}</td></tr>`)}</table>`

/** A path that may go on in the next line before a slash. */
const breakable = (path: string): Html =>
  html`${path.split(/(?=\/)/).map((part, index) => (index === 0 ? part : html`<wbr>${part}`))}`

/** What stands between backticks is code. */
const withCode = (text: string): Html =>
  html`${text.split('`').map((part, index) => (index % 2 === 0 ? part : html`<code>${part}</code>`))}`
