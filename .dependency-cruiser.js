const pure = '^packages/(contracts|tensors|learning|onnx-train)/'
const deployable = '^(functions|regional-node|edge-agent|web|cli|infra)/'
const tests = '\\.(test|cases)\\.ts$|/testing/|/testing\\.ts$|^bench/'
const drivers = [
  '@aws-sdk/',
  '@smithy/',
  '@grpc/grpc-js',
  '@upstash/',
  'aedes',
  'amqplib',
  'ioredis',
  'mqtt',
  'onnxruntime-node',
  'postgres',
  'pino',
  'ws',
]
const driverPath = `node_modules/(${drivers.join('|')})`

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'pure-packages-do-no-io',
      comment: 'contracts, tensors, learning and onnx-train do no I/O and import no driver.',
      severity: 'error',
      from: { path: pure, pathNot: `${tests}|build\\.ts$` },
      to: { path: `${driverPath}|^node:|^(fs|net|http|https|child_process|worker_threads|crypto|os|path)$` },
    },
    {
      name: 'pure-packages-stand-alone',
      comment: 'Pure packages import only each other; onnx-train is usable on its own.',
      severity: 'error',
      from: { path: '^packages/(onnx-train|tensors|contracts)/', pathNot: tests },
      to: { path: '^(packages|functions|regional-node|edge-agent|web|cli|infra)/', pathNot: '^packages/$1/' },
    },
    {
      name: 'deployables-are-islands',
      comment: 'Deployables talk by protocols, never by imports.',
      severity: 'error',
      from: { path: '^(functions|regional-node|edge-agent|web|cli|infra)/', pathNot: tests },
      to: { path: deployable, pathNot: '^$1/' },
    },
    {
      name: 'deployables-do-not-know-the-local-stack',
      severity: 'error',
      from: { path: deployable, pathNot: tests },
      to: { path: '^packages/local-stack/' },
    },
    {
      name: 'drivers-in-their-folder',
      comment: 'SDKs and drivers only in adapters/ or the folder named after the transport.',
      severity: 'error',
      from: {
        path: '^(functions|regional-node|edge-agent)/src/',
        pathNot: `${tests}|/adapters/|/amqp/|/iot/|/mqtt/|/grpc/|/storage/|/transport/|/training/|/inference/|/database/|/migrations/|/log(ging)?/|/log\\.ts$|/journal/|/relay/|main\\.ts$`,
      },
      to: { path: driverPath, dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'onnxruntime-only-on-devices',
      severity: 'error',
      from: { path: '.', pathNot: `^edge-agent/|${tests}` },
      to: { path: 'node_modules/onnxruntime-node' },
    },
    {
      name: 'cdk-only-in-infra',
      severity: 'error',
      from: { path: '.', pathNot: '^infra/' },
      to: { path: 'node_modules/(aws-cdk-lib|constructs)' },
    },
    {
      name: 'nobody-imports-an-entry',
      severity: 'error',
      from: {},
      to: { path: '(\\.lambda|(^|/|\\.)main)\\.ts$' },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)(dist|gen|\\.tributary)/|^node_modules/\\.bin' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.base.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'types'],
      extensions: ['.ts', '.js'],
    },
  },
}
