// One transform for every project: swc, with the decorators that Nest reads at run time.
const swc = [
  '@swc/jest',
  {
    jsc: {
      parser: { syntax: 'typescript', decorators: true },
      transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: false },
      target: 'es2022',
    },
    module: { type: 'commonjs' },
  },
];

const base = {
  testEnvironment: 'node',
  transform: { '^.+\\.[jt]s$': swc },
  // Nest 12 and jose are published as ES modules only, and Jest runs CommonJS.
  transformIgnorePatterns: ['/node_modules/(?!@nestjs/|jose/)'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': ['$1.js', '$1'] },
};

export default {
  projects: [
    { ...base, displayName: 'unit', roots: ['<rootDir>/src', '<rootDir>/test/house'], testMatch: ['**/*.spec.ts'] },
    {
      ...base,
      displayName: 'e2e',
      roots: ['<rootDir>/test'],
      testMatch: ['<rootDir>/test/{e2e,contract,faults,security}/**/*.spec.ts'],
      globalSetup: '<rootDir>/test/support/global-setup.ts',
      globalTeardown: '<rootDir>/test/support/global-teardown.ts',
    },
  ],
  testTimeout: 60_000,
};
