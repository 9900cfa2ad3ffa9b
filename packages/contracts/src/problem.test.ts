import assert from 'node:assert/strict'
import { test } from 'node:test'
import { asTributaryError, errorCatalogue, errorCodes, TributaryError } from './errors.ts'
import { grpcStatus } from './grpc-status.ts'
import { Problem, problemOf } from './problem.ts'

test('a problem names type, title, status and code of the catalogue', () => {
  const error = new TributaryError('NAME_TAKEN', { detail: 'there is a model "fraud"' })
  assert.deepEqual(problemOf(error, 'request-7'), {
    type: 'urn:tributary:error:NAME_TAKEN',
    title: 'The name is in use. Choose another.',
    status: 409,
    code: 'NAME_TAKEN',
    detail: 'there is a model "fraud"',
    instance: 'request-7',
  })
  assert.deepEqual(Object.keys(problemOf(new TributaryError('NOT_FOUND'))), ['type', 'title', 'status', 'code'])
})

test('the cause of an error never shows', () => {
  const cause = new Error('password=hunter2 at db.internal:5432')
  const problem = problemOf(asTributaryError(cause), 'r')
  assert.equal(problem.code, 'INTERNAL')
  assert.doesNotMatch(JSON.stringify(problem), /hunter2|db\.internal|at /)
  const known = new TributaryError('UNAVAILABLE', { cause })
  assert.doesNotMatch(JSON.stringify(problemOf(known)), /hunter2/)
  assert.equal(known.cause, cause, 'the log has it')
  assert.equal(asTributaryError(known), known)
  for (const thrown of ['text', undefined, null, 7]) assert.equal(asTributaryError(thrown).code, 'INTERNAL')
})

test('extra fields are shown, but override nothing of the catalogue', () => {
  const errors = [{ path: 'rounds', message: 'too small' }]
  const extra = { errors, code: 'NOT_FOUND', status: 200, title: 'fine', type: 'about:blank' }
  const problem = problemOf(new TributaryError('BODY_INVALID', { extra }))
  assert.deepEqual(problem.errors, errors)
  assert.deepEqual(
    [problem.code, problem.status, problem.title, problem.type],
    ['BODY_INVALID', 400, errorCatalogue.BODY_INVALID.message, 'urn:tributary:error:BODY_INVALID'],
  )
  const claimed = new TributaryError('NOT_FOUND', { extra: { detail: 'forged', instance: 'forged' } })
  assert.deepEqual([problemOf(claimed).detail, problemOf(claimed).instance], [undefined, undefined])
})

test('every code of the catalogue makes a valid problem, with a status of its class and a message that ends', () => {
  for (const code of errorCodes) {
    const { http, grpc, retryable, message } = errorCatalogue[code]
    assert.ok(Problem.safeParse(problemOf(new TributaryError(code))).success, code)
    assert.match(code, /^[A-Z]+(_[A-Z]+)*$/)
    assert.ok(http >= 400 && http <= 599, code)
    assert.ok(grpcStatus[grpc] > 0, code)
    assert.match(message, /^[A-Z].*\.$/, code)
    if (http >= 500 || http === 429) assert.ok(retryable, code)
  }
})
