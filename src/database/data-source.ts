import { DataSource } from 'typeorm';
import { dataSourceOptions } from './data-source-options';

/**
 * For TypeORM's command line, whose data-source files have one export:
 * `DATABASE_URL=… npx typeorm migration:show -d dist/src/database/data-source.js` (`migration:revert` goes one back).
 * The service makes its own from the same options, with the address that it finds at start.
 */
export default new DataSource({ ...dataSourceOptions(process.env.DATABASE_URL ?? ''), logger: 'advanced-console' });
