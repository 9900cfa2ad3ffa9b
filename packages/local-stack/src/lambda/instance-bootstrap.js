/**
 * What runs in each function instance: a client of the Lambda Runtime API, as AWS's own runtime is.
 * https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
 *
 * Plain JavaScript without dependencies: type stripping would add 25 ms to every cold start. It reads the environment because
 * the environment is Lambda's interface to a runtime.
 */
import { Agent, request } from 'node:http'
import { pathToFileURL } from 'node:url'

const { AWS_LAMBDA_RUNTIME_API: api = '', LAMBDA_TASK_ROOT: root = '', _HANDLER: handlerName = '' } = process.env
const base = new URL(`http://${api}/2018-06-01/runtime/`)
const agent = new Agent({ keepAlive: true, maxSockets: 1 })

/** Without the runner there is nobody to answer, and a handler that runs on must not change anything either. */
const die = () => process.kill(process.pid, 'SIGKILL')

/** @returns {Promise<{ headers: import('node:http').IncomingHttpHeaders, body: Buffer }>} */
const call = (method, path, body, headers = {}) =>
  new Promise((resolve, reject) => {
    const sent = request(new URL(path, base), {
      agent,
      method,
      headers: body === undefined ? headers : { 'content-length': Buffer.byteLength(body), ...headers },
    })
    sent.once('socket', socket => {
      if (socket.listenerCount('close', die) === 0) socket.once('close', die)
      socket.setNoDelay(true)
    })
    sent.once('error', reject)
    sent.once('response', answer => {
      const chunks = []
      answer.on('data', chunk => chunks.push(chunk))
      answer.once('error', reject)
      answer.once('end', () => resolve({ headers: answer.headers, body: Buffer.concat(chunks) }))
    })
    sent.end(body)
  })

const describe = error => ({
  errorType: error?.name ?? typeof error,
  errorMessage: String(error?.message ?? error),
  trace: String(error?.stack ?? '').split('\n'),
})

const report = (path, error, errorType) => {
  const described = { ...describe(error), ...(errorType === undefined ? {} : { errorType }) }
  console.error(JSON.stringify({ level: 'error', ...described }))
  return call('POST', path, JSON.stringify(described), {
    'content-type': 'application/json',
    'lambda-runtime-function-error-type': described.errorType.replace(/[^\w.]/g, ''),
  })
}

const load = async () => {
  const [file, name] = handlerName.split('.')
  const module = await import(pathToFileURL(`${root}/${file}.mjs`).href)
  if (typeof module[name] === 'function') return module[name]
  throw Object.assign(new Error(`${root}/${file}.mjs has no function called ${name}. Export one.`), {
    name: 'Runtime.HandlerNotFound',
  })
}

const contextOf = headers => {
  const deadline = Number(headers['lambda-runtime-deadline-ms'])
  const { env } = process
  return {
    awsRequestId: headers['lambda-runtime-aws-request-id'],
    invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'],
    functionName: env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
    callbackWaitsForEmptyEventLoop: false,
    getRemainingTimeInMillis: () => Math.max(0, deadline - Date.now()),
  }
}

const serveOne = async handler => {
  const { headers, body } = await call('GET', 'invocation/next')
  const id = headers['lambda-runtime-aws-request-id']
  let answer
  try {
    const result = await handler(JSON.parse(body.toString('utf8')), contextOf(headers))
    answer = JSON.stringify(result) ?? 'null'
  } catch (error) {
    await report(`invocation/${id}/error`, error)
    return
  }
  await call('POST', `invocation/${id}/response`, answer, { 'content-type': 'application/json' })
}

const handler = await load().catch(async error => {
  const missing = error?.code === 'ERR_MODULE_NOT_FOUND'
  await report('init/error', error, missing ? 'Runtime.ImportModuleError' : undefined)
  die()
})
for (;;) await serveOne(handler)
