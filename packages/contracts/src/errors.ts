/**
 * The error catalogue: every refusal of the platform has one code, whatever protocol carries it.
 * `docs/errors.md` is generated from this table.
 */
import type { GrpcStatusName } from './grpc-status.ts'

/** How one catalogue code appears in each protocol. */
export type CatalogueEntry = {
  /** HTTP status of the problem document. */
  readonly http: number
  /** gRPC status, where the refusal is not carried by a verdict. */
  readonly grpc: GrpcStatusName
  /** Whether the same request may succeed later without a change. */
  readonly retryable: boolean
  /** Public message: what is wrong and what to do. Private detail goes to the log only. */
  readonly message: string
}

const entry = (http: number, grpc: GrpcStatusName, retryable: boolean, message: string): CatalogueEntry => ({
  http,
  grpc,
  retryable,
  message,
})

export const errorCatalogue = {
  // Requests
  BAD_JSON: entry(400, 'INVALID_ARGUMENT', false, 'The body is not JSON. Send an object as application/json.'),
  BODY_INVALID: entry(400, 'INVALID_ARGUMENT', false, 'The body does not fit this route. See `errors` for each field.'),
  QUERY_INVALID: entry(400, 'INVALID_ARGUMENT', false, 'The query string does not fit this route.'),
  ID_INVALID: entry(400, 'INVALID_ARGUMENT', false, 'An id in the path is malformed.'),
  BODY_TOO_LARGE: entry(413, 'RESOURCE_EXHAUSTED', false, 'The body is larger than this route takes.'),
  MEDIA_TYPE_UNSUPPORTED: entry(415, 'INVALID_ARGUMENT', false, 'Send the body as application/json.'),
  ROUTE_UNKNOWN: entry(404, 'NOT_FOUND', false, 'There is no such route.'),
  METHOD_NOT_ALLOWED: entry(405, 'UNIMPLEMENTED', false, 'This route does not take this method.'),
  IDEMPOTENCY_KEY_REQUIRED: entry(
    400,
    'INVALID_ARGUMENT',
    false,
    'Send an Idempotency-Key header (8 to 64 characters).',
  ),
  IDEMPOTENCY_CONFLICT: entry(
    409,
    'ABORTED',
    false,
    'This Idempotency-Key was used with another request. Take a new key.',
  ),
  RATE_LIMITED: entry(429, 'RESOURCE_EXHAUSTED', true, 'Too many requests. Wait as Retry-After says.'),
  // Who asks
  UNAUTHENTICATED: entry(
    401,
    'UNAUTHENTICATED',
    false,
    'Send a valid bearer token, or a request signed by your certificate.',
  ),
  FORBIDDEN: entry(403, 'PERMISSION_DENIED', false, 'Your role does not allow this.'),
  SCOPE_MISSING: entry(
    403,
    'PERMISSION_DENIED',
    false,
    'The API key is narrowed to other parts of the API. Use another.',
  ),
  API_KEY_EXPIRED: entry(401, 'UNAUTHENTICATED', false, 'The API key has expired. Ask an administrator for a new one.'),
  API_KEY_REVOKED: entry(401, 'UNAUTHENTICATED', false, 'The API key was revoked. Ask an administrator for a new one.'),
  CERTIFICATE_EXPIRED: entry(
    401,
    'UNAUTHENTICATED',
    false,
    'The certificate has expired. A device enrols again with a new code; a node is registered again.',
  ),
  CERTIFICATE_REVOKED: entry(403, 'PERMISSION_DENIED', false, 'The certificate was revoked. Enrol again.'),
  // Resources
  NOT_FOUND: entry(404, 'NOT_FOUND', false, 'There is nothing by this id.'),
  STATE_CONFLICT: entry(409, 'FAILED_PRECONDITION', false, 'The resource is not in a state that allows this.'),
  NAME_TAKEN: entry(409, 'ALREADY_EXISTS', false, 'The name is in use. Choose another.'),
  // Tasks and rounds
  MODEL_VERSION_NOT_READY: entry(
    409,
    'FAILED_PRECONDITION',
    false,
    'The model version is not finalised. Finalise its upload first.',
  ),
  RULE_NOT_DECOMPOSABLE: entry(
    422,
    'INVALID_ARGUMENT',
    false,
    'This rule needs every update in one place: use one region with one shard.',
  ),
  RULE_UNKNOWN: entry(422, 'INVALID_ARGUMENT', false, 'No aggregation rule of this name is registered.'),
  SUM_WOULD_OVERFLOW: entry(
    422,
    'INVALID_ARGUMENT',
    false,
    'Bound, weight cap and number of updates leave no room for an exact sum. Lower one of them.',
  ),
  COHORT_IMPOSSIBLE: entry(
    422,
    'INVALID_ARGUMENT',
    false,
    'The cohort fields contradict each other: quorum and minimum may not exceed the goal.',
  ),
  KEEP_LOCAL_INVALID: entry(
    422,
    'INVALID_ARGUMENT',
    false,
    'What the task would keep on its devices does not fit the model. See the detail for the pattern and the names.',
  ),
  PERSONAL_UNHEALTHY: entry(
    409,
    'FAILED_PRECONDITION',
    false,
    'The version that was fitted to the device failed with real requests. The device serves it as it was released.',
  ),
  REGION_UNKNOWN: entry(422, 'INVALID_ARGUMENT', false, 'No region of this name is registered.'),
  DEVICE_UNKNOWN: entry(422, 'INVALID_ARGUMENT', false, 'No device of this id is enrolled.'),
  DEVICE_UNSUITABLE: entry(
    422,
    'FAILED_PRECONDITION',
    false,
    'The device cannot do this: see the detail. Choose a trainer that is not revoked.',
  ),
  DIVERGED: entry(
    409,
    'FAILED_PRECONDITION',
    false,
    'The loss of new versions grew past what the task allows. Lower a learning rate, or clip, and clone the task.',
  ),
  TOO_FEW_DEVICES: entry(
    409,
    'FAILED_PRECONDITION',
    true,
    'Too few eligible devices appeared before the selection deadline.',
  ),
  QUORUM_MISSED: entry(409, 'FAILED_PRECONDITION', true, 'Too few updates were accepted before the deadline.'),
  ZERO_TOTAL_WEIGHT: entry(
    409,
    'FAILED_PRECONDITION',
    true,
    'Every accepted update reported zero examples. The version before stays current.',
  ),
  SHARD_LOST: entry(409, 'ABORTED', true, 'A shard of the attempt was lost. Devices send again.'),
  ATTEMPTS_EXHAUSTED: entry(
    409,
    'FAILED_PRECONDITION',
    false,
    'Every allowed attempt of the round was abandoned. See the last reason; retry the task when it is mended.',
  ),
  // Models and files
  MODEL_INVALID: entry(422, 'INVALID_ARGUMENT', false, 'The model file was refused. See the detail.'),
  ALIAS_UNKNOWN: entry(404, 'NOT_FOUND', false, 'The model has no alias of this name.'),
  ALIAS_MOVED: entry(
    409,
    'ABORTED',
    false,
    'The alias does not name the expected version any more. Look at it again, then decide.',
  ),
  ALIAS_AT_START: entry(
    409,
    'FAILED_PRECONDITION',
    false,
    'There is no version before this one that the alias could go back to. Promote one instead.',
  ),
  VERSION_REFERENCED: entry(
    409,
    'FAILED_PRECONDITION',
    false,
    'Something still refers to the version. See `references`, and remove those first.',
  ),
  VERSION_DELETED: entry(410, 'FAILED_PRECONDITION', false, 'The version was deleted. Choose another.'),
  VERSIONS_UNLIKE: entry(
    422,
    'INVALID_ARGUMENT',
    false,
    'The versions have different tensors, so there is nothing to compare. Compare versions of one architecture.',
  ),
  RESULT_PENDING: entry(409, 'UNAVAILABLE', true, 'The result is being made. Ask again in some seconds.'),
  JOB_FAILED: entry(
    409,
    'ABORTED',
    false,
    'Work on the version ended several times without a result. The log of the function has the cause.',
  ),
  UPLOAD_MISSING: entry(
    409,
    'FAILED_PRECONDITION',
    false,
    'A declared file was not uploaded. Upload it, then finalise again.',
  ),
  CHECKSUM_MISMATCH: entry(422, 'DATA_LOSS', true, 'The bytes do not have the declared sha256. Send them again.'),
  EXPORT_TOO_LARGE: entry(
    422,
    'OUT_OF_RANGE',
    false,
    'The model is too large for an ONNX file with weights. Download it as safetensors.',
  ),
  // Fleet
  CSR_INVALID: entry(
    422,
    'INVALID_ARGUMENT',
    false,
    'The certificate request is malformed, or its signature does not verify.',
  ),
  CODE_MISTYPED: entry(
    422,
    'INVALID_ARGUMENT',
    false,
    'The enrolment code has a typing error: its check characters do not fit. Compare it with the original.',
  ),
  CODE_UNKNOWN: entry(422, 'NOT_FOUND', false, 'There is no such enrolment code. Ask the operator for a new one.'),
  CODE_EXPIRED: entry(
    410,
    'FAILED_PRECONDITION',
    false,
    'The enrolment code has expired or was revoked. Ask the operator for a new one.',
  ),
  CODE_USED_UP: entry(
    409,
    'RESOURCE_EXHAUSTED',
    false,
    'As many devices as the enrolment code allows have enrolled with it. Ask the operator for a new one.',
  ),
  DEVICE_OFFLINE: entry(
    409,
    'UNAVAILABLE',
    true,
    'The device is not online, so nothing was sent. Try again when it is.',
  ),
  NODE_MISMATCH: entry(403, 'PERMISSION_DENIED', false, 'The certificate belongs to another node.'),
  // Deployments
  DEPLOYMENTS_TOO_MANY: entry(
    409,
    'RESOURCE_EXHAUSTED',
    false,
    'Too many deployments are live. Roll back those that nobody needs any more.',
  ),
  // Updates (verdict INVALID and friends)
  NOT_FINITE: entry(422, 'INVALID_ARGUMENT', false, 'The update holds NaN or infinity.'),
  OUT_OF_RANGE: entry(422, 'INVALID_ARGUMENT', false, 'A value of the update lies beyond the bound of the task.'),
  NORM_EXCEEDED: entry(
    422,
    'INVALID_ARGUMENT',
    false,
    'The norm of the update exceeds the clipping norm. Clip on the device.',
  ),
  TENSOR_MISSING: entry(422, 'INVALID_ARGUMENT', false, 'The update lacks a tensor of the manifest.'),
  TENSOR_UNEXPECTED: entry(
    422,
    'INVALID_ARGUMENT',
    false,
    'The update holds a tensor that the manifest does not name.',
  ),
  TENSOR_MISMATCH: entry(
    422,
    'INVALID_ARGUMENT',
    false,
    'A tensor of the update has another dtype or shape than the manifest says.',
  ),
  BODY_MALFORMED: entry(422, 'INVALID_ARGUMENT', false, 'The update is not a well-formed safetensors file.'),
  KIND_UNSUPPORTED: entry(422, 'INVALID_ARGUMENT', false, 'The task takes deltas only.'),
  CODEC_UNSUPPORTED: entry(422, 'INVALID_ARGUMENT', false, 'The task does not declare this codec.'),
  LENGTH_MISMATCH: entry(422, 'INVALID_ARGUMENT', false, 'More or fewer bytes arrived than the header declared.'),
  EXAMPLES_INVALID: entry(422, 'INVALID_ARGUMENT', false, 'The number of examples is not a whole number from 0 on.'),
  METRICS_INVALID: entry(
    422,
    'INVALID_ARGUMENT',
    false,
    'The metrics contradict each other, or lie beyond what is possible. See the detail.',
  ),
  // Work that a device declares failed
  TRAINING_FAILED: entry(422, 'ABORTED', false, 'Training on the device failed. The log of the device has the cause.'),
  TRAINING_DIVERGED: entry(
    422,
    'OUT_OF_RANGE',
    false,
    'Training on the device diverged: the loss is no longer finite. Lower the learning rate.',
  ),
  DATASET_UNUSABLE: entry(
    422,
    'FAILED_PRECONDITION',
    false,
    'The data set is missing on the device, broken, or does not fit the model. Its owner must mend it.',
  ),
  MODEL_UNSUPPORTED: entry(
    422,
    'UNIMPLEMENTED',
    false,
    'The agent of the device cannot train or evaluate this model. See the detail.',
  ),
  WORK_UNSUPPORTED: entry(
    422,
    'INVALID_ARGUMENT',
    false,
    'The agent of the device does not take work of this form. Upgrade the older side.',
  ),
  DEVICE_OUT_OF_MEMORY: entry(
    422,
    'RESOURCE_EXHAUSTED',
    false,
    'The device has too little memory for this work. Lower the batch size, or take a smaller model.',
  ),
  MEMORY_LIMIT: entry(
    422,
    'RESOURCE_EXHAUSTED',
    false,
    'Training passed the memory that the owner of the device allows it. Lower the batch size, or ask for more.',
  ),
  TIME_LIMIT: entry(
    422,
    'DEADLINE_EXCEEDED',
    false,
    'Training passed the time that the owner of the device allows it. Lower the local epochs, or ask for more.',
  ),
  POLICY_REFUSED: entry(
    422,
    'PERMISSION_DENIED',
    false,
    'The policy of the owner of the device does not allow this work. The detail names the rule; only the owner can change it.',
  ),
  // Sums
  SHARD_SUM_MALFORMED: entry(422, 'DATA_LOSS', false, 'A shard sum does not fit the manifest of the model.'),
  RESULT_NOT_FINITE: entry(
    422,
    'OUT_OF_RANGE',
    false,
    'The new version would hold a value that its dtype cannot. The version before stays current; lower the learning rate or clip.',
  ),
  // Transport
  TOKEN_INVALID: entry(
    401,
    'UNAUTHENTICATED',
    false,
    'The work token is invalid, expired or of another device. Check in again.',
  ),
  OBJECT_UNKNOWN: entry(404, 'NOT_FOUND', false, 'The token does not cover an object of this sha256.'),
  WRONG_SHARD: entry(421, 'FAILED_PRECONDITION', true, 'Another node leases this shard.'),
  // Ourselves
  INTERNAL: entry(500, 'INTERNAL', true, 'Something failed on our side. The log has the cause under this request id.'),
  NODE_FULL: entry(503, 'UNAVAILABLE', true, 'The disk of the regional node has no room. Send again later.'),
  UNAVAILABLE: entry(503, 'UNAVAILABLE', true, 'A service that this needs does not answer. Try again.'),
} as const satisfies Record<string, CatalogueEntry>

export type ErrorCode = keyof typeof errorCatalogue

export const errorCodes = Object.keys(errorCatalogue) as [ErrorCode, ...ErrorCode[]]

/** A refusal by the catalogue. `detail` is public; `cause` goes to the log only. */
export class TributaryError extends Error {
  override readonly name = 'TributaryError'
  readonly code: ErrorCode
  /** What is wrong here, and where; shown to the caller. */
  readonly detail: string | undefined
  /** Structured public fields, e.g. the tensor or the field errors. */
  readonly extra: Readonly<Record<string, unknown>>

  constructor(code: ErrorCode, options: { detail?: string; extra?: Record<string, unknown>; cause?: unknown } = {}) {
    super(options.detail ?? errorCatalogue[code].message, options.cause === undefined ? {} : { cause: options.cause })
    this.code = code
    this.detail = options.detail
    this.extra = options.extra ?? {}
  }

  get entry(): CatalogueEntry {
    return errorCatalogue[this.code]
  }
}

/** The error itself where it is of the catalogue, else INTERNAL with the original as cause. */
export const asTributaryError = (error: unknown): TributaryError =>
  error instanceof TributaryError ? error : new TributaryError('INTERNAL', { cause: error })
