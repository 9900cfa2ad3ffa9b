import type { FunctionSpec } from '@tributary/contracts/functions'

export const account = '000000000000'

export const functionArn = (region: string, name: string): string =>
  `arn:aws:lambda:${region}:${account}:function:${name}`

/**
 * The whole environment of an instance: what the function's configuration lists and what Lambda itself sets.
 * https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
 */
export function instanceEnvironment(options: {
  readonly spec: FunctionSpec
  readonly instanceId: string
  readonly configured: Readonly<Record<string, string>>
  readonly region: string
  readonly taskRoot: string
  readonly folder: string
  readonly runtimeApi: string
  readonly prewarmed: boolean
}): Record<string, string> {
  const { spec, configured, region } = options
  return {
    ...configured,
    AWS_REGION: region,
    AWS_DEFAULT_REGION: region,
    AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs24.x',
    AWS_LAMBDA_FUNCTION_NAME: spec.name,
    AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(spec.memoryMegabytes),
    AWS_LAMBDA_INITIALIZATION_TYPE: options.prewarmed ? 'provisioned-concurrency' : 'on-demand',
    AWS_LAMBDA_LOG_GROUP_NAME: `/aws/lambda/${spec.name}`,
    AWS_LAMBDA_LOG_STREAM_NAME: options.instanceId,
    AWS_LAMBDA_RUNTIME_API: options.runtimeApi,
    LAMBDA_TASK_ROOT: options.taskRoot,
    _HANDLER: 'index.handler',
    PATH: '/usr/local/bin:/usr/bin:/bin',
    LANG: 'en_US.UTF-8',
    TZ: 'UTC',
    // Lambda has neither the developer's home nor a /tmp that instances share.
    HOME: options.folder,
    TMPDIR: options.folder,
  }
}
